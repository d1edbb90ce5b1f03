"""Keeps `--offline` from calling anybody but the simulator."""

from collections.abc import Mapping
from typing import Any

from rolecall import Cause, Host, Provider, ProviderError, Request, Response, Settings

from .faults import PROVIDERS


class OnlySimulated:
    """A host whose other providers cannot be called: they are real, and might be billed."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def providers(self, settings: Settings) -> Mapping[str, tuple[Provider, str]]:
        return {
            name: (provider if name in PROVIDERS else Barred(provider), plugin)
            for name, (provider, plugin) in self._host.providers(settings).items()
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


class Barred:
    """A provider that lacks a simulator."""

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self.model = getattr(provider, "model", "")

    def missing(self) -> str:
        return "nothing simulates it, and --offline calls nobody else"

    async def complete(self, request: Request) -> Response:
        raise ProviderError(Cause.MISSING_KEY, self.missing())
