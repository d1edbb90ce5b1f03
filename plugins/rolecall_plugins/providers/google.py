"""What Google has of its own among the vendors that are called through litellm."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rolecall import Request

from .vendors import Vendor, is_text_alone

if TYPE_CHECKING:
    from .reply_reader import Reply

# Of these models litellm asks the API's stable version, of all others the version before it.
_BEFORE_GEMINI_3 = re.compile(r"gemma-|gemini-([12]\b|exp\b|(pro|flash)\b(?!.*-latest))")


def _reply(provider: str) -> "Reply":
    from .gemini_reply import GeminiReply  # not before a call is made

    return GeminiReply(provider)


def _endpoint(base: str) -> str:
    """Complete an address without a path by the API's version, which litellm leaves out."""
    base = base.rstrip("/")
    return base if urlsplit(base).path else f"{base}/v1beta"


def _address(base: str, model: str, stream: bool) -> str:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    if base:
        return f"{_endpoint(base)}/models/{model}:{verb}"
    version = "v1beta" if _BEFORE_GEMINI_3.match(model) else "v1alpha"
    return f"https://generativelanguage.googleapis.com/{version}/models/{model}:{verb}"


def _amend(body: dict[str, Any], request: Request, provider: str) -> None:
    """Leave the temperature to the vendor where none was asked for; litellm sets one.

    A conversation that is more than text is written anew.
    """
    if request.temperature is None:
        body.get("generationConfig", {}).pop("temperature", None)
    if not is_text_alone(request):
        from .writing.gemini_request import write

        body.update(write(request, provider))
    if request.schema is not None and not (request.schema_is_part or request.tools):
        from .writing.answer_schema import for_gemini

        form = {"responseMimeType": "application/json", **for_gemini(request.schema)}
        body.setdefault("generationConfig", {}).update(form)


GEMINI = Vendor(
    name="gemini",
    prefix="gemini",
    model="gemini-3.8-flash",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    bases=("GEMINI_API_BASE",),
    form=r"AIza[\w-]{35}|AQ\.[\w.-]{16,}",
    console="https://aistudio.google.com/apikey",
    reply=_reply,
    endpoint=_endpoint,
    address=_address,
    amend=_amend,
)
