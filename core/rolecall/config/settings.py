"""Settings: `[tool.rolecall]` of the nearest pyproject.toml, `.env` beside it, the environment.

Nothing else reads the environment or looks for files of settings.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from attrs import Attribute, evolve, field, fields, frozen
from platformdirs import user_state_dir

from ..errors import SettingsError, nearest
from ..types.causes import DEFAULT_ACTIONS, Action, Cause
from ..types.messages import Request, Usage
from .project import find_project, read_table

VARIABLES = ("ROLECALL_DEBUG",)
AGENT_VARIABLE = "ROLECALL_AGENT_"
UNSET = {"environment", "rehearsal", "source", "sources"}  # settings that no table sets


def _at_least(low: float, above: bool = False) -> Any:
    def check(_: object, attribute: "Attribute[Any]", value: float | None) -> None:
        if value is None:
            return
        if not math.isfinite(value) or value < low or (above and value == low):
            bound = f"{'above' if above else 'at least'} {low:g}"
            raise ValueError(f"{attribute.name} must be {bound}, not {value!r}")

    return check


def _only_truncated_continues(_: object, __: object, on: Mapping[Cause, Action]) -> None:
    for cause, action in on.items():
        if action is Action.CONTINUE and cause is not Cause.TRUNCATED:
            raise ValueError(f"on.{cause}: only a truncated answer can continue")


class Order(StrEnum):
    """Who goes first when the calls of many runs queue.

    THROUGHPUT: who has the longest path still before it. LATENCY: the oldest run.
    """

    THROUGHPUT = "throughput"
    LATENCY = "latency"


@frozen
class ProviderSettings:
    """One provider's table, `[tool.rolecall.providers.NAME]`.

    model: instead of the provider's default.
    api_base: the endpoint's address instead of the vendor's own.
    requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute,
    requests_per_day, concurrency: what the pacing limiter keeps to; None sets no limit, beside
    those that the vendor tells.
    options: whatever else the provider's plugin documents.
    """

    model: str = ""
    api_base: str = ""
    requests_per_minute: int | None = field(default=None, validator=_at_least(1))
    tokens_per_minute: int | None = field(default=None, validator=_at_least(1))
    input_tokens_per_minute: int | None = field(default=None, validator=_at_least(1))
    output_tokens_per_minute: int | None = field(default=None, validator=_at_least(1))
    requests_per_day: int | None = field(default=None, validator=_at_least(1))
    concurrency: int | None = field(default=None, validator=_at_least(1))
    options: Mapping[str, Any] = field(factory=dict)


@frozen
class AgentSettings:
    """What the user says of an agent, `[tool.rolecall.agents.NAME]`; empty leaves it as it is.

    routes: in order of preference; the key `NAME = ROUTE` sets them alone.
    prompt: the text of the file that the key names. title, goal, needs: as in `Agent`.
    off: leave the agent out; `NAME = false` sets that.
    """

    routes: tuple[str, ...] = ()
    prompt: str = field(default="", repr=False)
    title: str = ""
    goal: str = ""
    needs: tuple[str, ...] | None = None
    off: bool = False


def _agents(
    said: "Mapping[str, AgentSettings | str | Sequence[str]]",
) -> Mapping[str, AgentSettings]:
    """Let routes alone stand for what the user says of an agent."""
    return {
        name: each
        if isinstance(each, AgentSettings)
        else AgentSettings((each,) if isinstance(each, str) else tuple(each))
        for name, each in said.items()
    }


@frozen
class Price:
    """What a model costs, `[tool.rolecall.prices."MODEL"]`; US dollars per million tokens.

    cache_read, cache_write: of prompts taken from or put into the vendor's cache; None is as input.
    """

    input: float = field(validator=_at_least(0))
    output: float = field(validator=_at_least(0))
    cache_read: float | None = field(default=None, validator=_at_least(0))
    cache_write: float | None = field(default=None, validator=_at_least(0))

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
    on: cause to action, where not the default.
    prices: model to its price, instead of what its provider knows.
    budget: most US dollars that a run may cost.
    allow_unpriced: let models of unknown price be called within a budget.
    attempts: calls at one route before the next one is asked.
    max_wait: most seconds an agent spends waiting for retries.
    breaker_failures: failures in a row that open a route's circuit breaker.
    breaker_cooldown: seconds an open route is left alone.
    continuations: how often a cut answer is asked to go on.
    max_output_tokens, temperature, timeout, idle_timeout, stream: see `Request`.
    debug, quiet: tell every event of a run, or none.
    rehearsal: calls are simulated or replayed, and cost nothing.
    runs: folder of the run folders.
    reuse: run folders, or folders of them, whose answers are taken where they fit.
    state: folder of what the user's processes share; empty shares nothing.
    environment: variables, those of `.env` beneath those of the process; never shown.
    source: the file the settings came from, for messages.
    sources: setting to where its value came from, where it is no default.
    """

    interval: float = field(default=0.5, validator=_at_least(0))
    order: Order = Order.THROUGHPUT
    block: tuple[str, ...] = ()
    providers: Mapping[str, ProviderSettings] = field(factory=dict)
    agents: Mapping[str, AgentSettings] = field(factory=dict, converter=_agents)
    on: Mapping[Cause, Action] = field(factory=dict, validator=_only_truncated_continues)
    prices: Mapping[str, Price] = field(factory=dict)
    budget: float | None = field(default=None, validator=_at_least(0))
    allow_unpriced: bool = False
    attempts: int = field(default=3, validator=_at_least(1))
    max_wait: float = field(default=120.0, validator=_at_least(0))
    breaker_failures: int = field(default=3, validator=_at_least(1))
    breaker_cooldown: float = field(default=30.0, validator=_at_least(0, above=True))
    continuations: int = field(default=4, validator=_at_least(0))
    max_output_tokens: int = field(default=16_384, validator=_at_least(1))
    temperature: float | None = field(default=None, validator=_at_least(0))
    timeout: float = field(default=600.0, validator=_at_least(0, above=True))
    idle_timeout: float = field(default=60.0, validator=_at_least(0, above=True))
    stream: bool = True
    runs: str = "runs"
    reuse: tuple[str, ...] = ()
    state: str = ""
    debug: bool = False
    quiet: bool = False
    rehearsal: bool = False
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    source: str = "the settings"
    sources: Mapping[str, str] = field(factory=dict, repr=False, eq=False)

    @property
    def actions(self) -> Mapping[Cause, Action]:
        """Map every cause to its action."""
        return {**DEFAULT_ACTIONS, **self.on}

    @property
    def template(self) -> Request:
        """Give the request whose limits every step starts from."""
        return Request(
            system="",
            messages=(),
            max_output_tokens=self.max_output_tokens,
            temperature=self.temperature,
            timeout=self.timeout,
            idle_timeout=self.idle_timeout,
            stream=self.stream,
        )

    def provider(self, name: str) -> ProviderSettings:
        """Give a provider's table; the defaults where it has none."""
        return self.providers.get(name, ProviderSettings())

    def variable(self, *names: str) -> str:
        """Give the first of these environment variables that is set, or an empty text."""
        values = (self.environment.get(name, "").strip() for name in names)
        return next(filter(None, values), "")

    def with_environment(self, **variables: str) -> "Settings":
        """Give settings in which these variables have these values."""
        return evolve(self, environment={**self.environment, **variables})


def load_settings(directory: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that apply in a folder; raise SettingsError naming file and key."""
    pyproject = find_project(directory)
    table = read_table(pyproject) if pyproject else {}
    settings = structure(table, str(pyproject)) if table else Settings()
    dotenv = (pyproject.parent if pyproject else directory) / ".env"
    if pyproject is not None:
        settings = _with_prompts(settings, pyproject)
    process = os.environ if environ is None else environ
    environment = {**_dotenv(dotenv), **process}
    sources = dict.fromkeys(table, str(pyproject))
    if "debug" not in table and _flag(environment, "ROLECALL_DEBUG"):
        place = "the environment" if "ROLECALL_DEBUG" in process else str(dotenv)
        sources["debug"] = f"ROLECALL_DEBUG in {place}"
    return evolve(
        settings,
        environment=environment,
        source=str(pyproject) if pyproject else "the settings",
        state=settings.state or user_state_dir("rolecall", appauthor=False),
        debug=settings.debug or _flag(environment, "ROLECALL_DEBUG"),
        sources=sources,
    )


def _with_prompts(settings: Settings, pyproject: Path) -> Settings:
    """Read the files that agents' prompts are in."""
    agents = dict(settings.agents)
    for name, agent in agents.items():
        if agent.prompt:
            path = pyproject.parent / agent.prompt
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                key = f"tool.rolecall.agents.{name}.prompt"
                raise SettingsError(f"{pyproject}: {key}: cannot be read: {error}") from error
            if not text.strip():
                key = f"tool.rolecall.agents.{name}.prompt"
                raise SettingsError(f"{pyproject}: {key}: {path} is empty")
            agents[name] = evolve(agent, prompt=text)
    return evolve(settings, agents=agents)


def structure(table: Mapping[str, Any], source: str = "the settings") -> Settings:
    """Turn a `[tool.rolecall]` table into settings; raise SettingsError naming the key."""
    import cattrs
    from cattrs.gen import make_dict_structure_fn, override

    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (str, bool, int, float):
        converter.register_structure_hook(kind, _strictly)
    for words in (Cause, Action, Order):
        converter.register_structure_hook(words, _word)
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _texts)
    of_table = make_dict_structure_fn(AgentSettings, converter, off=override(omit=True))
    converter.register_structure_hook(AgentSettings, partial(_agent, of_table))
    unset: Any = dict.fromkeys(UNSET, override(omit=True))
    converter.register_structure_hook(
        Settings,
        make_dict_structure_fn(
            Settings,
            converter,
            **unset,
        ),
    )
    try:
        return converter.structure(table, Settings)
    except cattrs.BaseValidationError as error:
        path, why = _first(error, ("tool", "rolecall"))
        raise SettingsError(f"{source}: {'.'.join(path)}: {why}") from error


def _first(error: Exception, path: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Give the key path and the reason of the first thing wrong in cattrs' tree of errors."""
    from cattrs import (
        AttributeValidationNote,
        BaseValidationError,
        ForbiddenExtraKeysError,
        IterableValidationNote,
    )

    if isinstance(error, ForbiddenExtraKeysError):
        name = min(error.extra_fields)
        allowed = {f.name for f in fields(error.cl)} - UNSET
        return (*path, name), f"no such setting{nearest(name, allowed)}"
    if not isinstance(error, BaseValidationError):
        return path, str(error) if isinstance(error, ValueError) else "must be a table"
    inner = error.exceptions[0]
    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            path = (*path, note.name)
        elif isinstance(note, IterableValidationNote):
            path = (*path, str(note.index))
    return _first(inner, path)


def _strictly(value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {_KINDS[kind]}, not {value!r}")
    return value


_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


def _word(value: Any, words: type[StrEnum]) -> StrEnum:
    if value not in list(words):
        what = words.__name__.lower()
        raise ValueError(
            f"{value!r} is no {what}{nearest(str(value), [str(word) for word in words])}"
        )
    return words(value)


def _agent(of_table: Callable[[Any, Any], AgentSettings], value: Any, kind: Any) -> AgentSettings:
    """Read a whole table, routes alone, or false."""
    if value is False:
        return AgentSettings(off=True)
    if not isinstance(value, str | list | dict):
        raise ValueError(f"must be a route, a list of routes, a table, or false, not {value!r}")
    return of_table(value if isinstance(value, dict) else {"routes": value}, kind)


def _texts(value: Any, _: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"must be a text or a list of texts, not {value!r}")
    return tuple(items)


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    import logging

    from dotenv import dotenv_values

    def name_file(record: logging.LogRecord) -> bool:
        record.msg = f"{path}: {record.msg}"
        return True

    log = logging.getLogger("dotenv.main")
    log.addFilter(name_file)  # it warns of a line that it cannot read, not of whose
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    finally:
        log.removeFilter(name_file)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no", "on", "off"):
        raise SettingsError(f"{name}: must be 1 or 0, not {value!r}")
    return value in ("1", "true", "yes", "on")
