"""The provider `claude`: Anthropic's models, through litellm."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import LLM, Provider, Settings


@hookimpl
def rolecall_providers(settings: "Settings") -> "Iterable[Provider]":
    from .providers.anthropic import CLAUDE
    from .providers.litellm import LiteLLMProvider

    return [LiteLLMProvider(CLAUDE, settings)]


def create_claude_llm_with_monitoring() -> "LLM":
    """Make a Claude that other programs can call, limited and watched as the team's is."""
    from rolecall import LLM

    return LLM("claude")
