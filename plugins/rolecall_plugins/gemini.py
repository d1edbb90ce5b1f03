"""The provider `gemini`: Google's models, through litellm."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rolecall import Provider, Request, Settings, hookimpl

from ._gemini_wire import GeminiReply
from ._vendor import Vendor

if TYPE_CHECKING:
    from rolecall import LLM


def _endpoint(base: str) -> str:
    """Complete an address without a path by the API's version, which litellm leaves out."""
    base = base.rstrip("/")
    return base if urlsplit(base).path else f"{base}/v1beta"


def _amend(body: dict[str, Any], request: Request) -> None:
    """Leave the temperature to the vendor where none was asked for; litellm sets one."""
    if request.temperature is None:
        body.get("generationConfig", {}).pop("temperature", None)


GEMINI = Vendor(
    name="gemini",
    prefix="gemini",
    model="gemini-3.8-flash",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    bases=("GEMINI_API_BASE",),
    form=r"AIza[\w-]{35}|AQ\.[\w.-]{16,}",
    console="https://aistudio.google.com/apikey",
    reply=GeminiReply,
    endpoint=_endpoint,
    amend=_amend,
)


@hookimpl
def rolecall_providers(settings: Settings) -> Iterable[Provider]:
    from ._litellm import LiteLLMProvider

    return [LiteLLMProvider(GEMINI, settings)]


def create_gemini_llm_with_monitoring() -> "LLM":
    """Make a Gemini that other programs can call; where it fails, Claude answers."""
    from rolecall import LLM  # it brings the event loop, which the command line may not need

    return LLM("gemini", "claude")
