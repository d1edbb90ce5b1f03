"""Providers that settings alone make: any vendor of litellm, or any endpoint of three formats."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import KnownModel, Provider, Settings

    from .providers.vendors import Vendor

WIRES = ("anthropic", "gemini", "openai")
OWN = ("claude", "gemini")  # that plugins of their own supply
# Of litellm's parameters, those that other settings stand for.
OURS = {
    "model": "model",
    "api_base": "api_base",
    "base_url": "api_base",
    "api_key": "keys",
    "custom_llm_provider": "litellm",
    **dict.fromkeys(("messages", "client", "stream", "tools", "caching")),
    **dict.fromkeys(("num_retries", "max_retries", "fallbacks", "mock_response")),
}


@hookimpl
def rolecall_providers(settings: "Settings") -> "Iterable[Provider]":
    return [
        _provider(name, settings)
        for name, own in settings.providers.items()
        if own.litellm or own.wire
    ]


@hookimpl
def rolecall_known_models() -> "Iterable[KnownModel]":
    from rolecall import KnownModel, Usage

    from .providers.model_prices import MILLION, known, models, vendors

    for vendor in sorted(vendors()):
        setting = f'litellm = "{vendor}"'
        names = models().get(vendor, ())
        for name in names:
            entry = known(vendor, name)
            read, written = entry.price(Usage(MILLION, 0)), entry.price(Usage(0, MILLION))
            yield KnownModel(vendor, name, setting, read, written, entry.max_output_tokens)
        if not names:
            yield KnownModel(vendor, "", setting)


def _provider(name: str, settings: "Settings") -> "Provider":
    from .providers.configured.accesses import variable_of

    own, base = settings.provider(name), variable_of(name, "API_BASE")
    _check(name, settings)
    if own.wire == "openai":
        from .providers.configured.chat_completions import ChatCompletionsProvider

        return ChatCompletionsProvider(name, base, settings)
    exact = _exact(name, base, own.wire or own.litellm, bool(own.wire))
    if exact is not None:
        from .providers.litellm import LiteLLMProvider

        return LiteLLMProvider(exact, settings)
    from .providers.configured.any_vendor import AnyVendorProvider

    return AnyVendorProvider(name, own.litellm, base, settings)


def _exact(name: str, base: str, format: str, is_foreign: bool) -> "Vendor | None":
    """Return one of the two vendors that are read exactly, under another name; None for others.

    is_foreign: it is an endpoint of somebody else's, which only speaks the vendor's format.
    """
    from attrs import evolve

    from .providers.anthropic import CLAUDE
    from .providers.google import GEMINI

    for vendor in (CLAUDE, GEMINI):
        if vendor.prefix == format:
            own = evolve(vendor, name=name, bases=(base,))
            if not is_foreign:
                return own
            return evolve(
                own, keys=(), form=".*", console="", needs_key=False, needs_base=True, is_own=False
            )
    return None


def _check(name: str, settings: "Settings") -> None:
    """Raise SettingsError where a provider's table cannot be meant so."""
    from rolecall import SettingsError

    from .providers.model_prices import vendors

    own = settings.provider(name)
    where = f"{settings.source}: tool.rolecall.providers.{name}"
    if name in OWN and name not in settings.block:
        raise SettingsError(
            f"{where}: {name} is there without litellm or wire; take another name for yours, or "
            f'leave ours out by block = ["{name}"]'
        )
    if own.litellm and own.wire:
        raise SettingsError(
            f"{where}: has both litellm and wire; keep wire for an endpoint that speaks one of "
            f"{', '.join(WIRES)}, and litellm for everything else"
        )
    if own.wire and own.wire not in WIRES:
        raise SettingsError(f"{where}.wire: {own.wire!r} is none of {', '.join(WIRES)}")
    if own.litellm and vendors() and own.litellm not in vendors():
        raise SettingsError(
            f"{where}.litellm: litellm knows no vendor {own.litellm!r}{_near(own.litellm)}"
        )
    for options in (own.options, *(table.options for table in own.deployments.values())):
        for option in options:
            _check_option(f"{where}.options.{option}", option)


def _check_option(where: str, option: str) -> None:
    from rolecall import SettingsError

    if option in OURS:
        setting = OURS[option]
        instead = f"set {setting} in the provider's table" if setting else "rolecall sets it itself"
        raise SettingsError(f"{where}: is no option; {instead}")
    if option.endswith(("_key", "_token", "_secret", "password")):
        raise SettingsError(
            f"{where}: a secret does not belong into this file; put it into .env, and the "
            "variable's name into keys"
        )


def _near(vendor: str) -> str:
    from difflib import get_close_matches

    from .providers.model_prices import vendors

    near = get_close_matches(vendor, vendors(), 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return "; rolecall providers --known lists them"
