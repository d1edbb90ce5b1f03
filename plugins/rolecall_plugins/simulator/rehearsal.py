"""A rehearsal in which nobody but the simulator is called."""

from collections.abc import Sequence

from rolecall import (
    Cause,
    Deployment,
    HasModel,
    HasPrices,
    Provider,
    ProviderError,
    Rehearsal,
    Request,
    Response,
    Settings,
    Usage,
)

from ..providers.configured.accesses import variable_of
from ..providers.configured.chat_completions import ChatCompletionsProvider
from .server import Simulator

EXACT = {"claude", "gemini"}


def simulated(simulator: Simulator, settings: Settings) -> Rehearsal:
    """Send the providers that are simulated to a simulator, and let no other be called.

    Those that the settings alone make are played in OpenAI's format, whatever their vendors speak,
    but for the two that are read exactly.
    """
    bases = {
        "ANTHROPIC_API_BASE": simulator.anthropic_base,
        "GEMINI_API_BASE": simulator.gemini_base,
    }
    by_format = {"anthropic": simulator.anthropic_base, "gemini": simulator.gemini_base}
    made = {name: own for name, own in settings.providers.items() if own.litellm or own.wire}
    formats = {name: own.wire or own.litellm for name, own in made.items()}
    for name, format in formats.items():
        bases[variable_of(name, "API_BASE")] = by_format.get(format, simulator.openai_base)

    def play(provider: Provider) -> Provider:
        if provider.name in EXACT or formats.get(provider.name) in by_format:
            return provider
        if provider.name in formats:
            return Played(provider, settings.with_environment(**bases))
        return Barred(provider)

    # What runs there is ours, so it may do without a sandbox.
    return Rehearsal({"environment": bases, "trusts_commands": True}, play)


class Played:
    """A provider that is played in OpenAI's format, at its own prices."""

    def __init__(self, provider: Provider, settings: Settings) -> None:
        from attrs import evolve

        self.name = provider.name
        self.model = provider.model if isinstance(provider, HasModel) else ""
        self._provider = provider
        variable = variable_of(self.name, "API_BASE")
        self._stand_in = ChatCompletionsProvider(
            self.name, variable, evolve(settings, hides_secrets=True)
        )

    @property
    def deployments(self) -> Sequence[Deployment]:
        return self._stand_in.deployments

    def missing(self) -> str | None:
        return self._stand_in.missing()

    def max_output_tokens(self, model: str) -> int | None:
        known = getattr(self._provider, "max_output_tokens", None)
        most: int | None = known(model) if known else None
        return most

    def cost(self, model: str, usage: Usage) -> float | None:
        provider = self._provider
        return provider.cost(model, usage) if isinstance(provider, HasPrices) else None

    async def complete(self, request: Request) -> Response:
        return await self._stand_in.complete(request)

    async def aclose(self) -> None:
        await self._stand_in.aclose()


class Barred:
    """A provider that nothing simulates: it is real, and might be billed."""

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self.model = provider.model if isinstance(provider, HasModel) else ""

    def missing(self) -> str:
        return "nothing simulates it, and --offline calls nobody else"

    async def complete(self, request: Request) -> Response:
        raise ProviderError(Cause.MISSING_KEY, self.missing())
