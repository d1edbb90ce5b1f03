"""What Anthropic has of its own among the vendors that are called through litellm."""

from typing import TYPE_CHECKING

from .vendors import Vendor

if TYPE_CHECKING:
    from .reply_reader import Reply


def _reply() -> "Reply":
    from .anthropic_reply import ClaudeReply  # not before a call is made

    return ClaudeReply()


CLAUDE = Vendor(
    name="claude",
    prefix="anthropic",
    model="claude-sonnet-5-5",
    keys=("ANTHROPIC_API_KEY",),
    bases=("ANTHROPIC_API_BASE",),
    form=r"sk-ant-[\w-]{16,}",
    console="https://console.anthropic.com/settings/keys",
    marks_cache=True,
    reply=_reply,
    endpoint=lambda base: base.rstrip("/").removesuffix("/v1/messages").removesuffix("/v1"),
)
