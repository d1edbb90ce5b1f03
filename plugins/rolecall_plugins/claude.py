"""The provider `claude`: Anthropic's models, through litellm."""

from collections.abc import Iterable

from rolecall import LLM, Provider, Settings, hookimpl

from ._claude_wire import ClaudeReply
from ._litellm import LiteLLMProvider, Vendor

CLAUDE = Vendor(
    name="claude",
    prefix="anthropic",
    model="claude-sonnet-5-5",
    keys=("ANTHROPIC_API_KEY",),
    bases=("ANTHROPIC_API_BASE",),
    reply=ClaudeReply,
    endpoint=lambda base: base.rstrip("/").removesuffix("/v1/messages").removesuffix("/v1"),
)


@hookimpl
def rolecall_providers(settings: Settings) -> Iterable[Provider]:
    return [LiteLLMProvider(CLAUDE, settings)]


def create_claude_llm_with_monitoring() -> LLM:
    """Make a Claude that other programs can call, limited and watched as the team's is."""
    return LLM("claude")
