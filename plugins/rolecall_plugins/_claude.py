"""What Anthropic has of its own among the vendors that are called through litellm."""

from ._claude_wire import ClaudeReply
from ._vendor import Vendor

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
