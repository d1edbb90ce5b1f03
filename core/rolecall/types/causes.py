"""Why a call failed, in one word, and what is done about it by default."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Cause(StrEnum):
    """Why a call failed; the values are what settings, events and journals say."""

    EMPTY = "empty"
    THINKING_ONLY = "thinking_only"
    TRUNCATED = "truncated"
    SAFETY = "safety"
    REFUSAL = "refusal"
    BAD_TOOL_CALL = "bad_tool_call"
    BAD_SCHEMA = "bad_schema"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_PAYLOAD = "bad_payload"
    AUTH = "auth"
    MISSING_KEY = "missing_key"
    FORBIDDEN = "forbidden"
    UNKNOWN_MODEL = "unknown_model"
    CONTEXT_OVERFLOW = "context_overflow"
    INVALID_REQUEST = "invalid_request"
    PLUGIN_ERROR = "plugin_error"
    SUPERSEDED = "superseded"


class Action(StrEnum):
    """What the dispatcher does about a cause; after the last retry it falls back.

    retry: wait as told, or with backoff, and ask the same route again.
    retry_once: ask the same route once more.
    enlarge: ask the same route again with twice the output budget.
    repair: have the model mend its answer, told what does not fit its schema.
    continue: keep the cut text and let the agent ask for the rest.
    fallback: ask the agent's next route.
    stop: give the agent up.
    """

    RETRY = "retry"
    RETRY_ONCE = "retry_once"
    ENLARGE = "enlarge"
    CONTINUE = "continue"
    REPAIR = "repair"
    FALLBACK = "fallback"
    STOP = "stop"


DEFAULT_ACTIONS: Mapping[Cause, Action] = MappingProxyType(
    {
        Cause.EMPTY: Action.RETRY_ONCE,
        Cause.THINKING_ONLY: Action.ENLARGE,
        Cause.TRUNCATED: Action.CONTINUE,
        Cause.SAFETY: Action.FALLBACK,
        Cause.REFUSAL: Action.STOP,
        Cause.BAD_TOOL_CALL: Action.RETRY_ONCE,
        Cause.BAD_SCHEMA: Action.REPAIR,
        Cause.RATE_LIMITED: Action.RETRY,
        Cause.QUOTA_EXHAUSTED: Action.FALLBACK,
        Cause.OVERLOADED: Action.RETRY,
        Cause.SERVER_ERROR: Action.RETRY,
        Cause.TIMEOUT: Action.RETRY,
        Cause.CONNECTION: Action.RETRY,
        Cause.BAD_PAYLOAD: Action.RETRY,
        Cause.AUTH: Action.FALLBACK,
        Cause.MISSING_KEY: Action.FALLBACK,
        Cause.FORBIDDEN: Action.FALLBACK,
        Cause.UNKNOWN_MODEL: Action.FALLBACK,
        Cause.CONTEXT_OVERFLOW: Action.FALLBACK,
        Cause.INVALID_REQUEST: Action.STOP,
        Cause.PLUGIN_ERROR: Action.STOP,
        Cause.SUPERSEDED: Action.FALLBACK,
    }
)
