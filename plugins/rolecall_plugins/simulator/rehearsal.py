"""A rehearsal in which nobody but the simulator is called."""

from rolecall import (
    Cause,
    HasModel,
    Provider,
    ProviderError,
    Rehearsal,
    Request,
    Response,
)

from .faults import PROVIDERS
from .server import Simulator


def simulated(simulator: Simulator) -> Rehearsal:
    """Send the providers that are simulated to a simulator, and let no other be called."""
    bases = {
        "ANTHROPIC_API_BASE": simulator.anthropic_base,
        "GEMINI_API_BASE": simulator.gemini_base,
    }
    return Rehearsal(
        {"environment": bases},
        lambda provider: provider if provider.name in PROVIDERS else Barred(provider),
    )


class Barred:
    """A provider that nothing simulates: it is real, and might be billed."""

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self.model = provider.model if isinstance(provider, HasModel) else ""

    def missing(self) -> str:
        return "nothing simulates it, and --offline calls nobody else"

    async def complete(self, request: Request) -> Response:
        raise ProviderError(Cause.MISSING_KEY, self.missing())
