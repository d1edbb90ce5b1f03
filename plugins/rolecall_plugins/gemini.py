"""The provider `gemini`: Google's models, through litellm."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import LLM, Provider, Settings


@hookimpl
def rolecall_providers(settings: "Settings") -> "Iterable[Provider]":
    from .providers.google import GEMINI
    from .providers.litellm import LiteLLMProvider

    return [LiteLLMProvider(GEMINI, settings)]


def create_gemini_llm_with_monitoring() -> "LLM":
    """Make a Gemini that other programs can call; where it fails, Claude answers."""
    from rolecall import LLM

    return LLM("gemini", "claude")
