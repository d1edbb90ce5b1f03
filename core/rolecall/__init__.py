"""A team of LLM roles on one request, inside one rate limit, with nothing paid for twice.

What is listed in `__all__` is public. Each name is imported when it is first used, so that the
command line and a plugin pay for what they use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .deprecations import current

if TYPE_CHECKING:
    from .agents import Agent, Route
    from .causes import Action, Cause
    from .config import AgentSettings, Order, Price, ProviderSettings, Settings, load_settings
    from .dispatch import Dispatcher
    from .errors import (
        AllRoutesFailed,
        BudgetReached,
        CallFailed,
        JournalCorrupt,
        PluginError,
        ProviderError,
        RolecallError,
        RunBusy,
        RunError,
        SettingsError,
        TeamError,
        UsageError,
    )
    from .events import (
        AgentBlocked,
        AgentDone,
        AgentFailed,
        AgentStarted,
        CallEnded,
        CallEvent,
        CallHeld,
        CallStarted,
        CallText,
        CallWaiting,
        CostsCompared,
        DeliverableKept,
        Event,
        FellBack,
        Forecast,
        Observer,
        Retrying,
        RouteClosed,
        RouteOpened,
        RouteProbed,
        RunEnded,
        RunStarted,
        StepReused,
        WorkTouched,
    )
    from .hookspecs import hookimpl
    from .host import Host
    from .ledger import Ledger, Totals
    from .library import Result, Run, Team
    from .limits import Call, Clock, Limiter, Outcome, SendLimiter, SystemClock
    from .llm import LLM
    from .messages import (
        Closeable,
        Diagnosable,
        HasCeiling,
        HasModel,
        HasPrices,
        Message,
        NeedsSetup,
        Preparable,
        Provider,
        Request,
        Response,
        Stop,
        Usage,
        Watch,
    )
    from .routing import current_team
    from .secrets import Redactor
    from .version import __version__

__all__ = [
    "LLM",
    "Action",
    "Agent",
    "AgentBlocked",
    "AgentDone",
    "AgentFailed",
    "AgentSettings",
    "AgentStarted",
    "AllRoutesFailed",
    "BudgetReached",
    "Call",
    "CallEnded",
    "CallEvent",
    "CallFailed",
    "CallHeld",
    "CallStarted",
    "CallText",
    "CallWaiting",
    "Cause",
    "Clock",
    "Closeable",
    "CostsCompared",
    "DeliverableKept",
    "Diagnosable",
    "Dispatcher",
    "Event",
    "FellBack",
    "Forecast",
    "HasCeiling",
    "HasModel",
    "HasPrices",
    "Host",
    "JournalCorrupt",
    "Ledger",
    "Limiter",
    "Message",
    "NeedsSetup",
    "Observer",
    "Order",
    "Outcome",
    "PluginError",
    "Preparable",
    "Price",
    "Provider",
    "ProviderError",
    "ProviderSettings",
    "Redactor",
    "Request",
    "Response",
    "Result",
    "Retrying",
    "RolecallError",
    "Route",
    "RouteClosed",
    "RouteOpened",
    "RouteProbed",
    "Run",
    "RunBusy",
    "RunEnded",
    "RunError",
    "RunStarted",
    "SendLimiter",
    "Settings",
    "SettingsError",
    "StepReused",
    "Stop",
    "SystemClock",
    "Team",
    "TeamError",
    "Totals",
    "Usage",
    "UsageError",
    "Watch",
    "WorkTouched",
    "__version__",
    "current_team",
    "hookimpl",
    "load_settings",
]

# Where each of them is.
_NAMES = {
    "agents": "Agent Route",
    "causes": "Action Cause",
    "config": "AgentSettings Order Price ProviderSettings Settings load_settings",
    "dispatch": "Dispatcher",
    "errors": (
        "AllRoutesFailed BudgetReached CallFailed JournalCorrupt PluginError ProviderError "
        "RolecallError RunBusy RunError SettingsError TeamError UsageError"
    ),
    "events": (
        "AgentBlocked AgentDone AgentFailed AgentStarted CallEnded CallEvent CallHeld "
        "CallStarted CallText CallWaiting CostsCompared DeliverableKept Event FellBack Forecast "
        "Observer Retrying RouteClosed RouteOpened RouteProbed RunEnded RunStarted StepReused "
        "WorkTouched"
    ),
    "hookspecs": "hookimpl",
    "host": "Host",
    "ledger": "Ledger Totals",
    "library": "Result Run Team",
    "limits": "Call Clock Limiter Outcome SendLimiter SystemClock",
    "llm": "LLM",
    "messages": (
        "Closeable Diagnosable HasCeiling HasModel HasPrices Message NeedsSetup Preparable "
        "Provider Request Response Stop Usage Watch"
    ),
    "routing": "current_team",
    "secrets": "Redactor",
    "version": "__version__",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    name = current(name) or name
    if name in globals():
        return globals()[name]
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found  # the next time it is found without this function
    return found
