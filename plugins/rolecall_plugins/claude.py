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


def create_claude_llm_with_monitoring(
    model: str = "",
    *,
    system: str = "",
    temperature: float | None = None,
    max_output_tokens: int | None = None,
    timeout: float | None = None,
) -> "LLM":
    """Make a Claude that other programs can call, limited and watched as the team's is.

    model: the vendor's name for it; empty means the settings' or the default one. The others: as
    in `rolecall.LLM`.
    """
    from rolecall import LLM

    return LLM(
        f"claude/{model}" if model else "claude",
        system=system,
        temperature=temperature,
        max_output_tokens=max_output_tokens,
        timeout=timeout,
    )
