"""A team of LLM roles on one request, inside one rate limit, with nothing paid for twice.

What is listed in `__all__` is public; what needs an event loop or plugins is imported when it is
first used, so that a plugin costs the command line little.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .agents import Agent, Route
from .causes import Action, Cause
from .config import AgentSettings, Order, Price, ProviderSettings, Settings
from .config import load as load_settings
from .deprecations import current
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
from .ledger import Ledger, Totals
from .limits import Call, Clock, Limiter, Outcome, SendLimiter, SystemClock
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
from .secrets import Redactor

if TYPE_CHECKING:
    from .dispatch import Dispatcher
    from .host import Host
    from .library import Result, Run, Team
    from .llm import LLM
    from .routing import current_team

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
    "current_team",
    "hookimpl",
    "load_settings",
]

_LATER = {
    "LLM": "llm",
    "Dispatcher": "dispatch",
    "Host": "host",
    "Result": "library",
    "Run": "library",
    "Team": "library",
    "current_team": "routing",
}


def __getattr__(name: str) -> Any:
    name = current(name) or name
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    if name in globals():
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
