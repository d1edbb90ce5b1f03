"""Both vendors' providers, made by hand, and something to ask them."""

from rolecall import Message, Provider, Request, Settings
from rolecall_plugins import claude, gemini

PLUGINS = {"claude": claude, "gemini": gemini}
REQUEST = Request(
    system="You are a tester.\n\n- `## Findings`: what was found",
    messages=(Message("user", "<request>\nSay something — in UTF-8: ✓\n</request>"),),
    max_output_tokens=512,
)


def provider(name: str, **environment: str) -> Provider:
    keys = {"ANTHROPIC_API_KEY": "replayed", "GEMINI_API_KEY": "replayed", **environment}
    (made,) = PLUGINS[name].rolecall_providers(Settings(environment=keys))
    return made
