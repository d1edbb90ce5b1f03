"""What Anthropic has of its own among the vendors that are called through litellm."""

from typing import TYPE_CHECKING, Any

from rolecall import Request

from .vendors import Vendor, is_text_alone

if TYPE_CHECKING:
    from .reply_reader import Reply


def _reply(provider: str) -> "Reply":
    from .anthropic_reply import ClaudeReply  # not before a call is made

    return ClaudeReply(provider)


def _endpoint(base: str) -> str:
    return base.rstrip("/").removesuffix("/v1/messages").removesuffix("/v1")


def _address(base: str, model: str, stream: bool) -> str:
    return f"{_endpoint(base) or 'https://api.anthropic.com'}/v1/messages"


def _amend(body: dict[str, Any], request: Request, provider: str) -> None:
    """Write the conversation anew where it is more than text."""
    if not is_text_alone(request):
        from .writing.anthropic_request import write

        body.update(write(request, provider))
    if request.schema is not None and not request.schema_is_part:
        from .writing.answer_schema import for_anthropic

        if (schema := for_anthropic(request.schema)) is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}


CLAUDE = Vendor(
    name="claude",
    prefix="anthropic",
    model="claude-sonnet-5-5",
    keys=("ANTHROPIC_API_KEY",),
    bases=("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    form=r"sk-ant-[\w-]{16,}",
    console="https://console.anthropic.com/settings/keys",
    marks_cache=True,
    reply=_reply,
    endpoint=_endpoint,
    address=_address,
    amend=_amend,
)
