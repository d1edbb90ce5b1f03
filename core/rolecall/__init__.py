"""A team of LLM roles on one request, inside one rate limit, with nothing paid for twice.

What is listed in `__all__` is public. Each name is imported when it is first used, so that the
command line and a plugin pay for what they use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._version import __version__
    from .api.llm import LLM
    from .api.team import Result, Run, Team
    from .api.text_stream import Restart
    from .cli.console import echo, warn
    from .config.loading import load_settings
    from .config.providers import DeploymentSettings, ProviderLimits, ProviderSettings
    from .config.settings import AgentSettings, Order, Price, Settings
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
        UntrustedRun,
        UsageError,
    )
    from .execution.context import CallContext
    from .execution.dispatcher import Dispatcher
    from .execution.redaction import Redactor
    from .observers.ledger import Ledger, ToolTotals, Totals
    from .plugin.assignment import current_team
    from .plugin.manager import Host
    from .plugin.rehearsal import Rehearsal
    from .plugin.run_option import CommandContext, CommandLine, RunOption
    from .plugin.run_setup import RunSetup
    from .plugin.spec import hookimpl
    from .scheduling.estimate import Estimate, Expected
    from .storage.safe_folder import SafeFolder
    from .types.agents import Agent, Balance, Route
    from .types.answer import Answer
    from .types.causes import Action, Cause
    from .types.consent import Consent
    from .types.deployments import Deployment, HasDeployments
    from .types.events import (
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
        CheckStarted,
        ConsentAsked,
        ConsentDecided,
        CostsCompared,
        DeliverableKept,
        DeploymentClosed,
        Event,
        FellBack,
        Forecast,
        Hedged,
        Observer,
        RepairStarted,
        Rerouted,
        Retrying,
        RoundStarted,
        RouteClosed,
        RouteOpened,
        RouteProbed,
        RunEnded,
        RunStarted,
        StepReused,
        ToolEnded,
        ToolStarted,
        WorkspaceChange,
        WorkspaceLeft,
        WorkspaceVerified,
        WorkTouched,
    )
    from .types.http_errors import provider_error
    from .types.limits import (
        Call,
        Clock,
        ForecastLimiter,
        Limiter,
        Outcome,
        RoomLimiter,
        SendLimiter,
        SystemClock,
    )
    from .types.messages import (
        CallProgress,
        Closeable,
        Diagnosable,
        HasCeiling,
        HasContextWindow,
        HasModel,
        HasPrices,
        KnownModel,
        KnowsTools,
        Message,
        NeedsSetup,
        Preparable,
        Provider,
        Request,
        Response,
        Stop,
    )
    from .types.parts import Attachment, Part, Text, ToolCall, ToolResult, ToolSpec, Verbatim
    from .types.retry_after import retry_after
    from .types.run_options import RunOptions
    from .types.tools import (
        ChangesOutside,
        CommandLimits,
        CommandResult,
        FileChange,
        NeedsSandbox,
        RecordedCall,
        Repeatable,
        Sandbox,
        Tool,
        ToolPlayer,
        ToolRecorder,
        Work,
        Workspace,
    )
    from .types.verification import Check
    from .usage import Usage

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
    "Answer",
    "Attachment",
    "Balance",
    "BudgetReached",
    "Call",
    "CallContext",
    "CallEnded",
    "CallEvent",
    "CallFailed",
    "CallHeld",
    "CallProgress",
    "CallStarted",
    "CallText",
    "CallWaiting",
    "Cause",
    "ChangesOutside",
    "Check",
    "CheckStarted",
    "Clock",
    "Closeable",
    "CommandContext",
    "CommandLimits",
    "CommandLine",
    "CommandResult",
    "Consent",
    "ConsentAsked",
    "ConsentDecided",
    "CostsCompared",
    "DeliverableKept",
    "Deployment",
    "DeploymentClosed",
    "DeploymentSettings",
    "Diagnosable",
    "Dispatcher",
    "Estimate",
    "Event",
    "Expected",
    "FellBack",
    "FileChange",
    "Forecast",
    "ForecastLimiter",
    "HasCeiling",
    "HasContextWindow",
    "HasDeployments",
    "HasModel",
    "HasPrices",
    "Hedged",
    "Host",
    "JournalCorrupt",
    "KnownModel",
    "KnowsTools",
    "Ledger",
    "Limiter",
    "Message",
    "NeedsSandbox",
    "NeedsSetup",
    "Observer",
    "Order",
    "Outcome",
    "Part",
    "PluginError",
    "Preparable",
    "Price",
    "Provider",
    "ProviderError",
    "ProviderLimits",
    "ProviderSettings",
    "RecordedCall",
    "Redactor",
    "Rehearsal",
    "RepairStarted",
    "Repeatable",
    "Request",
    "Rerouted",
    "Response",
    "Restart",
    "Result",
    "Retrying",
    "RolecallError",
    "RoomLimiter",
    "RoundStarted",
    "Route",
    "RouteClosed",
    "RouteOpened",
    "RouteProbed",
    "Run",
    "RunBusy",
    "RunEnded",
    "RunError",
    "RunOption",
    "RunOptions",
    "RunSetup",
    "RunStarted",
    "SafeFolder",
    "Sandbox",
    "SendLimiter",
    "Settings",
    "SettingsError",
    "StepReused",
    "Stop",
    "SystemClock",
    "Team",
    "TeamError",
    "Text",
    "Tool",
    "ToolCall",
    "ToolEnded",
    "ToolPlayer",
    "ToolRecorder",
    "ToolResult",
    "ToolSpec",
    "ToolStarted",
    "ToolTotals",
    "Totals",
    "UntrustedRun",
    "Usage",
    "UsageError",
    "Verbatim",
    "Work",
    "WorkTouched",
    "Workspace",
    "WorkspaceChange",
    "WorkspaceLeft",
    "WorkspaceVerified",
    "__version__",
    "current_team",
    "echo",
    "hookimpl",
    "load_settings",
    "provider_error",
    "retry_after",
    "warn",
]

# Where each of them is.
_NAMES = {
    "types.agents": "Agent Balance Route",
    "types.answer": "Answer",
    "types.causes": "Action Cause",
    "types.consent": "Consent",
    "types.deployments": "Deployment HasDeployments",
    "cli.console": "echo warn",
    "config.loading": "load_settings",
    "config.providers": "DeploymentSettings ProviderLimits ProviderSettings",
    "config.settings": "AgentSettings Order Price Settings",
    "execution.context": "CallContext",
    "execution.dispatcher": "Dispatcher",
    "errors": (
        "AllRoutesFailed BudgetReached CallFailed JournalCorrupt PluginError ProviderError "
        "RolecallError RunBusy RunError SettingsError TeamError UntrustedRun UsageError"
    ),
    "types.events": (
        "AgentBlocked AgentDone AgentFailed AgentStarted CallEnded CallEvent CallHeld "
        "CallStarted CallText CallWaiting CheckStarted ConsentAsked ConsentDecided CostsCompared "
        "DeploymentClosed DeliverableKept Event FellBack Forecast Hedged Observer RepairStarted "
        "Rerouted Retrying RoundStarted RouteClosed RouteOpened RouteProbed RunEnded RunStarted "
        "StepReused ToolEnded ToolStarted WorkTouched WorkspaceChange WorkspaceLeft "
        "WorkspaceVerified"
    ),
    "plugin.spec": "hookimpl",
    "scheduling.estimate": "Estimate Expected",
    "storage.safe_folder": "SafeFolder",
    "plugin.manager": "Host",
    "plugin.rehearsal": "Rehearsal",
    "plugin.run_option": "CommandContext CommandLine RunOption",
    "plugin.run_setup": "RunSetup",
    "observers.ledger": "Ledger ToolTotals Totals",
    "api.team": "Result Run Team",
    "types.run_options": "RunOptions",
    "types.http_errors": "provider_error",
    "types.retry_after": "retry_after",
    "types.limits": (
        "Call Clock ForecastLimiter Limiter Outcome RoomLimiter SendLimiter SystemClock"
    ),
    "api.llm": "LLM",
    "api.text_stream": "Restart",
    "types.parts": "Attachment Part Text ToolCall ToolResult ToolSpec Verbatim",
    "types.verification": "Check",
    "types.tools": (
        "ChangesOutside CommandLimits CommandResult FileChange NeedsSandbox RecordedCall "
        "Repeatable Sandbox Tool ToolPlayer ToolRecorder Work Workspace"
    ),
    "types.messages": (
        "CallProgress Closeable Diagnosable HasCeiling HasContextWindow HasModel HasPrices "
        "KnownModel KnowsTools Message NeedsSetup Preparable Provider Request Response Stop"
    ),
    "usage": "Usage",
    "plugin.assignment": "current_team",
    "execution.redaction": "Redactor",
    "_version": "__version__",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in globals():
        return globals()[name]
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found  # the next time it is found without this function
    return found
