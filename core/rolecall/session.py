"""One run of a team, put together from the plugins: the same for a new run and a resumed one."""

import asyncio
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from attrs import asdict, filters

from .bus import Bus
from .config import Settings
from .dispatch import Dispatcher
from .folder import RunFolder
from .host import Host
from .ledger import Ledger
from .limits import SystemClock
from .messages import Closeable
from .routing import assemble, assign, forecast, unusable
from .runner import Outcome, Runner

# What run.toml keeps of the settings: nothing secret, and no path of this machine.
KEPT = (
    "interval",
    "attempts",
    "max_wait",
    "continuations",
    "max_output_tokens",
    "temperature",
    "timeout",
    "idle_timeout",
    "stream",
)


class Session:
    """A team ready to run; everything that can be found wrong is found before the first call.

    notes: what a person should know first: who falls back, who has no route, what is left out.
    """

    def __init__(
        self,
        host: Host,
        settings: Settings,
        overrides: Mapping[str, Sequence[str]],
        only: Collection[str] = (),
        skip: Collection[str] = (),
    ) -> None:
        host.check()
        self._settings = settings
        self._providers = {
            name: provider for name, (provider, _) in host.providers(settings).items()
        }
        assigned = assign(host, settings, self._providers, overrides)
        self._numbers = {name: number for number, name in enumerate(assigned, 1)}
        self.team, self._left_out = assemble((each.agent for each in assigned.values()), only, skip)
        self._limiters = host.limiters(settings)
        self._observers = host.observers(settings)
        self.ledger = Ledger()
        self.notes = forecast(self.team, unusable(self.team, self._providers)) + [
            f"{name} goes without {', '.join(needs)}, left out of this run"
            for name, needs in self._left_out.items()
        ]

    def describe(self, flags: Sequence[str]) -> dict[str, Any]:
        """Give what run.toml keeps: the settings as they were resolved, and no secret."""
        kept = {
            name: value
            for name, value in asdict(self._settings, filter=filters.include(*KEPT)).items()
            if value is not None
        }
        actions = {str(cause): str(action) for cause, action in self._settings.actions.items()}
        return {
            "rolecall": version("rolecall"),
            "flags": list(flags),
            "settings": {**kept, "on": actions},
            "routes": {agent.name: [str(route) for route in agent.routes] for agent in self.team},
        }

    async def run(self, folder: RunFolder) -> Outcome:
        """Run the team in a folder; SIGTERM ends it as Ctrl-C does."""
        task = asyncio.current_task()
        assert task is not None
        with suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        bus = Bus([folder.memo, self.ledger], self._observers)
        dispatcher = Dispatcher(
            self._providers,
            self._limiters,
            self._settings,
            SystemClock(),
            bus,
            calls=folder.memo.calls,
        )
        runner = Runner(
            self.team,
            dispatcher,
            folder,
            self._settings,
            bus,
            self._numbers,
            self._left_out,
        )
        try:
            return await runner.run(folder.request)
        finally:
            for provider in self._providers.values():
                if isinstance(provider, Closeable):
                    await provider.aclose()
