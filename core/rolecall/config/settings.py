"""Settings: everything a run can be told, as frozen values."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from attrs import evolve, field, frozen

from ..errors import SettingsError
from ..types.agents import Balance
from ..types.causes import DEFAULT_ACTIONS, Action, Cause
from ..types.deployments import Deployment
from ..types.messages import Request
from ..types.tools import CommandLimits
from ..usage import Usage
from . import providers as tables
from .layers import DEFAULT, Layer, Level, Source, path
from .providers import ProviderLimits, ProviderSettings, at_least
from .secrets import is_telling

AGENT_VARIABLE = "ROLECALL_AGENT_"
PLACEHOLDER = "rehearsed"
# Settings that no table sets.
UNSET = {
    "environment",
    "hides_secrets",
    "identity",
    "rehearsal",
    "rehearsal_speed",
    "source",
    "sources",
    "trusts_commands",
}


def _fitting_actions(_: object, __: object, on: Mapping[Cause, Action]) -> None:
    for cause, action in on.items():
        if action is Action.CONTINUE and cause is not Cause.TRUNCATED:
            raise ValueError(f"on.{cause}: only a truncated answer can continue")
        if action is Action.REPAIR and cause is not Cause.BAD_SCHEMA:
            raise ValueError(f"on.{cause}: only an answer that does not fit can be repaired")


class Order(StrEnum):
    """Who goes first when the calls of many runs queue.

    THROUGHPUT: who has the longest path still before it. LATENCY: the oldest run.
    """

    THROUGHPUT = "throughput"
    LATENCY = "latency"


@frozen
class AgentSettings:
    """What the user says of an agent, `[tool.rolecall.agents.NAME]`; empty leaves it as it is.

    routes: in order of preference; the key `NAME = ROUTE` sets them alone.
    prompt: the text of the file that the key names. title, goal, needs: as in `Agent`.
    tools: what it may use: tools by name, groups of them, or patterns; None is the agent's own.
    balance, tier, plan: as in `Agent`; None is the agent's own.
    schema: the text of the file that the key names. schema_is_part: as in `Agent`.
    off: leave the agent out; `NAME = false` sets that.
    """

    routes: tuple[str, ...] = ()
    prompt: str = field(default="", repr=False)
    title: str = ""
    goal: str = ""
    needs: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    schema: str = field(default="", repr=False)
    schema_is_part: bool | None = None
    balance: Balance | None = None
    tier: str | None = None
    plan: bool | None = None
    off: bool = False


def _agents(
    agents: "Mapping[str, AgentSettings | str | Sequence[str]]",
) -> Mapping[str, AgentSettings]:
    """Accept routes alone for what the user says of an agent."""
    return {
        name: own
        if isinstance(own, AgentSettings)
        else AgentSettings((own,) if isinstance(own, str) else tuple(own))
        for name, own in agents.items()
    }


@frozen
class Price:
    """What a model costs, `[tool.rolecall.prices."MODEL"]`; US dollars per million tokens.

    cache_read, cache_write: of prompts taken from or put into the vendor's cache; None is as input.
    """

    input: float = field(validator=at_least(0))
    output: float = field(validator=at_least(0))
    cache_read: float | None = field(default=None, validator=at_least(0))
    cache_write: float | None = field(default=None, validator=at_least(0))

    def cost(self, usage: Usage) -> float:
        """Price a call in US dollars."""
        read = self.input if self.cache_read is None else self.cache_read
        stored = self.input if self.cache_write is None else self.cache_write
        plain = usage.input - usage.cache_read - usage.cache_write
        return (
            plain * self.input
            + usage.cache_read * read
            + usage.cache_write * stored
            + usage.output * self.output
        ) / 1_000_000


@frozen
class Settings:
    """Everything a run can be told.

    interval: least seconds between the starts of any two API calls.
    order: who goes first when calls queue.
    block: plugins that are not loaded.
    agents: agent, or a pattern like `*-specialist`, to what the user says of it.
    balance: how an agent's route is chosen for a step.
    hedge: ask the next route as well where one is late to begin its answer.
    tiers: kind of model to the routes, or whole providers, that are of it.
    on: cause to action, where not the default.
    prices: model to its price, instead of what its provider knows.
    budget: most US dollars that a run may cost.
    allow_unpriced: let models of unknown price be called within a budget.
    attempts: calls at one route before the next one is asked.
    max_wait: most seconds an agent spends waiting for retries.
    breaker_failures: failures in a row that open a route's circuit breaker.
    breaker_cooldown: seconds for which an open route is not asked.
    continuations: how often a cut answer is asked to go on.
    max_output_tokens, temperature, timeout, idle_timeout, stream: see `Request`.
    first_byte_timeout: see `Request`; None is as `timeout`.
    tools: whether agents may use tools at all.
    max_rounds: how often an agent that has tools is asked before it must end.
    sandbox: where commands run, by the sandbox's name; empty takes the first that works here, and
        "none" runs them unconfined.
    sandbox_image: the image of a sandbox that is a container.
    commands: what a command in the sandbox may take.
    allow: tools that change something beyond the workspace and need not ask, by name or pattern.
    verify: commands that check the workspace once it is written.
    repairs: how often what a check found goes back to whom it concerns.
    debug, quiet: print every event of a run, or none.
    rehearsal: calls are simulated or replayed, and cost nothing.
    rehearsal_speed: how many times as fast as it was they are replayed.
    runs: folder of the run folders.
    reuse: run folders, or folders of them, whose answers are taken where they fit.
    state: folder of what the user's processes share; empty shares nothing.
    identity: folder of the secret that the user's runs are signed with; no table sets it, as a
        project may be somebody else's. With "" every run counts as the user's own.
    trusts_commands: what agents run is no model's, and may run where there is no sandbox.
    hides_secrets: `variable` returns a placeholder for each variable that holds a secret.
    environment: variables, those of `.env` beneath those of the process; never shown.
    source: the file the settings came from, for messages.
    sources: setting, or `setting.entry` of a table, to where its value came from, if not a default.
    """

    interval: float = field(default=0.5, validator=at_least(0))
    order: Order = Order.THROUGHPUT
    block: tuple[str, ...] = ()
    providers: Mapping[str, ProviderSettings] = field(factory=dict)
    agents: Mapping[str, AgentSettings] = field(factory=dict, converter=_agents)
    balance: Balance = Balance.FIXED
    hedge: bool = False
    tiers: Mapping[str, tuple[str, ...]] = field(factory=dict)
    on: Mapping[Cause, Action] = field(factory=dict, validator=_fitting_actions)
    prices: Mapping[str, Price] = field(factory=dict)
    budget: float | None = field(default=None, validator=at_least(0))
    allow_unpriced: bool = False
    attempts: int = field(default=3, validator=at_least(1))
    max_wait: float = field(default=120.0, validator=at_least(0))
    breaker_failures: int = field(default=3, validator=at_least(1))
    breaker_cooldown: float = field(default=30.0, validator=at_least(0, above=True))
    continuations: int = field(default=4, validator=at_least(0))
    max_output_tokens: int = field(default=16_384, validator=at_least(1))
    temperature: float | None = field(default=None, validator=at_least(0))
    timeout: float = field(default=600.0, validator=at_least(0, above=True))
    first_byte_timeout: float | None = field(default=None, validator=at_least(0, above=True))
    idle_timeout: float = field(default=60.0, validator=at_least(0, above=True))
    stream: bool = True
    tools: bool = True
    max_rounds: int = field(default=40, validator=at_least(1))
    sandbox: str = ""
    sandbox_image: str = ""
    commands: CommandLimits = CommandLimits()
    allow: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    repairs: int = field(default=2, validator=at_least(0))
    runs: str = "runs"
    reuse: tuple[str, ...] = ()
    state: str = ""
    identity: str = ""
    debug: bool = False
    quiet: bool = False
    rehearsal: bool = False
    rehearsal_speed: float = field(default=1.0, validator=at_least(0, above=True))
    trusts_commands: bool = False
    hides_secrets: bool = False
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    source: str = "the settings"
    sources: Mapping[str, Source] = field(factory=dict, repr=False, eq=False)

    @property
    def actions(self) -> Mapping[Cause, Action]:
        """Map every cause to its action."""
        return {**DEFAULT_ACTIONS, **self.on}

    @property
    def template(self) -> Request:
        """Return the request whose limits every step starts from."""
        return Request(
            system="",
            messages=(),
            max_output_tokens=self.max_output_tokens,
            temperature=self.temperature,
            timeout=self.timeout,
            first_byte_timeout=self.first_byte_timeout or self.timeout,
            idle_timeout=self.idle_timeout,
            stream=self.stream,
        )

    def with_environment(self, **variables: str) -> "Settings":
        """Return settings in which these variables have these values."""
        return evolve(self, environment={**self.environment, **variables})

    def with_layer(self, layer: Layer) -> "Settings":
        """Return these settings with what a layer sets; raise SettingsError where that is wrong."""
        values, sources = layer.over(self, self.sources)
        try:
            return evolve(self, **values, sources=sources)
        except ValueError as error:
            raise SettingsError(f"{layer.place}: {error}") from error

    def source_of(self, name: str, entry: str = "") -> Source:
        """Return where a setting's value came from, or that of an entry of a table."""
        known = self.sources.get(path(name, entry) if entry else name)
        if known is not None:
            return known
        is_default = not entry and getattr(self, name) == getattr(Settings(), name)
        return DEFAULT if is_default else Source(Level.CODE, "the program")

    def provider(self, name: str) -> ProviderSettings:
        """Return a provider's table; the defaults where it has none."""
        return self.providers.get(name, ProviderSettings())

    def deployments(self, provider: str) -> tuple[Deployment, ...]:
        """List a provider's endpoints and keys; one without a name where its table names none."""
        return tables.deployments(provider, self.provider(provider))

    def limits(self, provider: str, quota: str) -> ProviderLimits:
        """Return the limits of one of a provider's quotas."""
        return tables.limits(provider, self.provider(provider), quota)

    @property
    def key_variables(self) -> frozenset[str]:
        """Return the environment variables that hold providers' keys, by whatever name."""
        return frozenset().union(*(own.variables for own in self.providers.values()))

    def variable(self, *names: str) -> str:
        """Return the first of these environment variables that is set, or an empty text.

        In a rehearsal nobody looks at a key, so providers are given a placeholder for each.
        """
        if self.hides_secrets and any(map(self._is_secret, names)):
            return PLACEHOLDER
        values = (self.environment.get(name, "").strip() for name in names)
        return next(filter(None, values), "")

    def _is_secret(self, name: str) -> bool:
        return is_telling(name) or name in self.key_variables
