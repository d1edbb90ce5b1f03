"""The provider `claude`: Anthropic's models, through litellm."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import Provider, Settings, hookimpl

from ._claude_wire import ClaudeReply
from ._vendor import Vendor

if TYPE_CHECKING:
    from rolecall import LLM

CLAUDE = Vendor(
    name="claude",
    prefix="anthropic",
    model="claude-sonnet-5-5",
    keys=("ANTHROPIC_API_KEY",),
    bases=("ANTHROPIC_API_BASE",),
    form=r"sk-ant-[\w-]{16,}",
    console="https://console.anthropic.com/settings/keys",
    marks_cache=True,
    reply=ClaudeReply,
    endpoint=lambda base: base.rstrip("/").removesuffix("/v1/messages").removesuffix("/v1"),
)


@hookimpl
def rolecall_providers(settings: Settings) -> Iterable[Provider]:
    from ._litellm import LiteLLMProvider

    return [LiteLLMProvider(CLAUDE, settings)]


def create_claude_llm_with_monitoring() -> "LLM":
    """Make a Claude that other programs can call, limited and watched as the team's is."""
    from rolecall import LLM  # it brings the event loop, which the command line may not need

    return LLM("claude")
