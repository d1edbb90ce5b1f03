"""Every way in which a call can fail here: by provider, cause and variant."""

from collections.abc import Mapping, Sequence

from .anthropic import service as anthropic
from .anthropic.faults import FAULTS as CLAUDE
from .cases import Case
from .exchange import Framing, HttpReply
from .gemini import service as gemini
from .gemini.faults import FAULTS as GEMINI
from .openai import service as openai
from .openai.faults import FAULTS as OPENAI

PROVIDERS = ("claude", "gemini", "openai")
CAUSES = tuple(CLAUDE)

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "rate_limited": ("retry_after",),
    "quota_exhausted": ("retry_after",),
    "truncated": ("after",),
    "safety": ("after",),
    "refusal": ("after",),
    "overloaded": ("after",),
    "server_error": ("after",),
    "timeout": ("after",),
    "connection": ("after",),
    "bad_payload": ("after",),
}


def variants(provider: str, cause: str) -> Sequence[str]:
    """List a cause's forms, the default first; "*" has those that every provider has."""
    tables: dict[str, Mapping[str, object]] = {
        "claude": CLAUDE[cause],
        "gemini": GEMINI[cause],
        "openai": OPENAI[cause],
    }
    if provider in tables:
        return list(tables[provider])
    return [name for name in tables["claude"] if all(name in each for each in tables.values())]


def options(cause: str) -> Sequence[str]:
    """List the options of a fault of this cause."""
    return ["agent", "variant", *_OPTIONS.get(cause, ())]


def failure(framing: Framing, cause: str, case: Case) -> HttpReply:
    """Answer as the vendor does when a call fails for this cause."""
    variant = case.options.variant
    if isinstance(framing, anthropic.AnthropicFraming):
        return CLAUDE[cause][variant or next(iter(CLAUDE[cause]))](framing, case)
    if isinstance(framing, gemini.GeminiFraming):
        return GEMINI[cause][variant or next(iter(GEMINI[cause]))](framing, case)
    if isinstance(framing, openai.OpenAIFraming):
        return OPENAI[cause][variant or next(iter(OPENAI[cause]))](framing, case)
    raise TypeError(f"no faults are known in the framing of {framing!r}")
