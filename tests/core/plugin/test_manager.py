"""Which plugins are found, what they may supply, and whose fault it is where something is wrong."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

import pytest
from attrs import evolve
from building import Gate, Heard, Point, agent, plugin

from rolecall import (
    Agent,
    Call,
    CommandResult,
    Host,
    KnownModel,
    Outcome,
    PluginError,
    ProviderSettings,
    Request,
    Response,
    Settings,
    SettingsError,
    ToolResult,
    UsageError,
    Work,
    hookimpl,
)
from rolecall.testing import FakeProvider

SKIP = "; skip it with -p no:"


def hosting(**plugins: ModuleType) -> Host:
    """Make a host of plugins by hand, in this order."""
    host = Host([])
    for name, module in plugins.items():
        host.register(name, module)
    return host


def failure(*points: Point, block: Iterable[str] = ()) -> str:
    host = Host(points, tuple(block))
    with pytest.raises(PluginError) as caught:
        host.check()
    return str(caught.value)


# What is found.


def test_a_plugin_is_found_through_its_entry_point() -> None:
    host = Host([Point("echo", plugin(providers=[FakeProvider("echo")]), "rolecall-echo")])
    host.check()
    (found,) = host.plugins
    assert (found.name, found.module, found.distribution) == (
        "echo",
        "echo_module",
        "rolecall-echo",
    )
    assert (found.version, found.hooks) == ("1.0", ("rolecall_providers",))
    assert list(host.providers(Settings())) == ["echo"]


def test_our_plugins_come_first_and_the_others_by_their_distribution() -> None:
    points = [
        Point("a", plugin(), "zebra"),
        Point("z", plugin(), "aardvark"),
        Point("roles", plugin(), "rolecall"),
        Point("claude", plugin(), "rolecall"),
    ]
    assert [each.name for each in Host(points).plugins] == ["claude", "roles", "z", "a"]


def test_every_host_has_plugins_of_its_own() -> None:
    first, second = hosting(one=plugin(agents=[agent()])), Host([])
    assert list(first.agents()) == ["writer"]
    assert second.agents() == {}


def test_a_host_without_plugins_supplies_nothing() -> None:
    host = Host([])
    assert (host.agents(), host.providers(Settings())) == ({}, {})
    assert (host.limiters(Settings()), host.observers(Settings())) == ({}, [])
    assert host.assignment(agent()) is None


# What does not load.


def test_a_second_plugin_of_a_name_is_an_error_that_names_both_distributions() -> None:
    points = [Point("echo", plugin(), "rolecall-echo"), Point("echo", plugin(), "other-echo")]
    assert failure(*points) == (
        "two plugins are called 'echo': other-echo (echo_module) and rolecall-echo (echo_module); "
        "uninstall one, or skip both with -p no:echo"
    )


def test_the_second_plugin_of_a_name_is_not_imported() -> None:
    points = [Point("echo", plugin(), "a"), Point("echo", plugin(), "b")]
    Host(points)
    assert [point.loads for point in points] == [["echo"], []]


def test_a_plugin_that_does_not_import_is_named_with_how_to_skip_it() -> None:
    point = Point("echo", ModuleNotFoundError("No module named 'sdk'"))
    assert failure(point) == (
        "the plugin 'echo' (echo_module) does not load: "
        f"ModuleNotFoundError: No module named 'sdk'{SKIP}echo"
    )


@pytest.mark.parametrize(
    "error", [ImportError("no"), AttributeError("no"), SyntaxError("no"), ZeroDivisionError("no")]
)
def test_whatever_goes_wrong_at_the_import_is_the_plugins_fault(error: Exception) -> None:
    message = failure(Point("echo", error))
    assert f"'echo' (echo_module) does not load: {type(error).__name__}: no" in message


def test_an_error_of_many_lines_is_told_in_one() -> None:
    message = failure(Point("echo", ValueError("2 errors\n  first\n  second\n")))
    assert "ValueError: 2 errors first second; skip" in message


def test_an_error_that_goes_on_and_on_is_shortened() -> None:
    message = failure(Point("echo", ValueError("x" * 1000)))
    assert f"ValueError: {'x' * 199}…; skip" in message


def test_a_plugin_that_does_not_load_is_listed_and_leaves_the_others_at_work() -> None:
    points = [Point("bad", ImportError("no")), Point("good", plugin(agents=[agent()]))]
    host = Host(points)
    assert [(each.name, bool(each.failure)) for each in host.plugins] == [
        ("bad", True),
        ("good", False),
    ]
    assert list(host.agents()) == ["writer"]


def test_a_plugin_that_ends_the_process_ends_it() -> None:
    class Ending(Point):
        def load(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Host([Ending("echo", None)])


@pytest.mark.parametrize("thing", [None, 3, "a text", {"a": 1}, [], object()])
def test_an_entry_point_that_leads_to_no_module_is_an_error_or_has_no_hooks(thing: object) -> None:
    host = Host([Point("echo", thing)])
    (found,) = host.plugins
    assert found.hooks == ()


def test_the_same_module_under_two_names_is_an_error_in_one_line() -> None:
    module = plugin(agents=[agent()])
    message = failure(Point("one", module), Point("two", module))
    assert message.startswith("the plugin 'two' is unsound: ")
    assert "already registered" in message
    assert message.endswith(f"{SKIP}two")
    assert len(message) < 300
    assert "\n" not in message


# What is blocked.


def test_a_blocked_plugin_is_listed_but_not_imported() -> None:
    point = Point("echo", ImportError("would fail"))
    host = Host([point], ["echo"])
    host.check()
    assert point.loads == []
    assert [(each.name, each.blocked) for each in host.plugins] == [("echo", True)]


def test_blocking_a_name_skips_every_plugin_of_it() -> None:
    points = [Point("echo", plugin(), "a"), Point("echo", plugin(), "b")]
    Host(points, ["echo"]).check()
    assert [point.loads for point in points] == [[], []]


def test_blocking_what_is_not_there_is_an_error_that_names_the_nearest() -> None:
    message = failure(Point("echo", plugin()), block=["ecco"])
    assert message == "no plugin is called 'ecco'; did you mean 'echo'?"


# Pluggy's traps.


def test_a_misspelt_hook_is_an_error() -> None:
    message = failure(Point("echo", plugin(provider=[])))
    assert "there is no hook 'rolecall_provider'; did you mean 'rolecall_providers'?" in message
    assert message.endswith(f"{SKIP}echo")


def test_a_misspelt_hook_is_the_fault_of_its_own_plugin_alone() -> None:
    host = Host([Point("bad", plugin(agent=[])), Point("good", plugin(agents=[agent()]))])
    assert [(each.name, bool(each.failure)) for each in host.plugins] == [
        ("bad", True),
        ("good", False),
    ]


def test_no_hook_of_an_unsound_plugin_is_asked() -> None:
    host = Host([Point("bad", plugin(agents=[agent()], provider=[]))])
    assert host.agents() == {}


def test_a_plugin_may_have_functions_that_are_no_hooks() -> None:
    module = plugin(agents=[agent()])
    module.rolecall_helper = lambda: None  # type: ignore[attr-defined]
    hosting(echo=module)


async def _async_hook() -> list[Agent]:
    return []


async def _async_generator() -> Any:
    yield agent()


@pytest.mark.parametrize("hook", ["agents", "assign"])
@pytest.mark.parametrize("function", [_async_hook, _async_generator])
def test_an_async_hook_is_refused(hook: str, function: Callable[[], Any]) -> None:
    message = failure(Point("echo", plugin(**{hook: hookimpl(function)})))
    assert f"rolecall_{hook} is async; hooks are plain functions" in message
    assert message.endswith(f"{SKIP}echo")


def test_a_hook_may_leave_out_the_arguments_it_does_not_use() -> None:
    host = hosting(echo=plugin(providers=lambda: [FakeProvider("echo")], assign=lambda: "echo"))
    assert list(host.providers(Settings())) == ["echo"]
    assert host.assignment(agent()) == ("echo", "echo")


def test_a_hook_gets_the_arguments_it_asks_for() -> None:
    got: list[Any] = []

    def providers(settings: Settings) -> list[Any]:
        got.append(settings)
        return []

    hosting(echo=plugin(providers=providers)).providers(settings := Settings(interval=3))
    assert got == [settings]


def test_a_hook_that_asks_for_an_unknown_argument_is_an_error_in_one_line() -> None:
    message = failure(Point("echo", plugin(agents=lambda team: [])))
    assert "'team'" in message
    assert message.endswith(f"{SKIP}echo")
    assert "\n" not in message


@pytest.mark.parametrize(
    "hook", [lambda settings=None: [], lambda *, settings=None: [], lambda settings={}: []]
)
def test_an_argument_with_a_default_is_refused_for_it_would_never_be_passed(hook: Any) -> None:
    message = failure(Point("echo", plugin(providers=hook)))
    assert "rolecall_providers: the argument 'settings' has a default" in message
    assert message.endswith(f"{SKIP}echo")


def test_a_default_for_what_is_no_argument_of_the_hook_is_the_plugins_own_affair() -> None:
    host = hosting(echo=plugin(providers=lambda name="echo": [FakeProvider(name)]))
    assert list(host.providers(Settings())) == ["echo"]


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}])
def test_a_wrapper_is_refused_for_hooks_are_asked_one_by_one(options: dict[str, bool]) -> None:
    def agents() -> Iterator[Any]:
        return (yield)

    module = ModuleType("wrapping")
    module.rolecall_agents = hookimpl(**options)(agents)  # type: ignore[attr-defined]
    message = failure(Point("echo", module))
    assert "rolecall_agents is a wrapper" in message
    assert message.endswith(f"{SKIP}echo")


def test_plugins_that_compare_equal_are_an_error_not_lost() -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    assert "'two' is unsound" in failure(Point("one", Equal()), Point("two", Equal()))


# What hooks return.

HOOKS = ["agents", "providers", "limiters", "observers", "tools", "sandboxes"]


def collect(host: Host, hook: str) -> Any:
    return host.agents() if hook == "agents" else getattr(host, hook)(Settings())


def wrong(hook: str, value: object) -> str:
    """Say what the host says of a hook that gives this."""
    with pytest.raises(PluginError) as caught:
        collect(hosting(echo=plugin(**{hook: lambda: value})), hook)
    message = str(caught.value)
    assert message.startswith("the plugin 'echo' breaks a hook's contract: ")
    assert message.endswith(f"{SKIP}echo")
    return message


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_has_nothing_to_supply_may_return_none_or_nothing(hook: str) -> None:
    host = hosting(nothing=plugin(**{hook: lambda: None}), empty=plugin(**{hook: []}))
    assert not collect(host, hook)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("value", ["a text", b"bytes", 3, object])
def test_a_hook_that_gives_no_list_is_an_error(hook: str, value: object) -> None:
    assert f"rolecall_{hook} gave {value!r}, not a list" in wrong(hook, value)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("item", ["a text", 3, None, object(), Agent, FakeProvider, Gate, Heard])
def test_a_list_of_wrong_things_is_an_error(hook: str, item: object) -> None:
    assert re.search(r" is not an? |not an Agent", wrong(hook, [item]))


def raising() -> Any:
    raise KeyError("oh")


def raising_in_the_middle() -> Iterator[str]:
    yield from ()
    raise KeyError("oh")


@pytest.mark.parametrize("raising", [raising, raising_in_the_middle])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_raises_is_named(hook: str, raising: Any) -> None:
    with pytest.raises(PluginError, match=f"'echo' .*rolecall_{hook} raised KeyError: 'oh'; skip"):
        collect(hosting(echo=plugin(**{hook: raising})), hook)


def test_an_error_of_ours_in_a_hook_is_told_as_it_is() -> None:
    def refusing() -> Any:
        raise UsageError("echo: set ECHO_URL first")

    with pytest.raises(UsageError, match=r"^echo: set ECHO_URL first$"):
        hosting(echo=plugin(providers=refusing)).providers(Settings())


@pytest.mark.parametrize("hook", ["agents", "providers"])
def test_a_hook_may_be_a_generator(hook: str) -> None:
    things = {"agents": agent("echo"), "providers": FakeProvider("echo")}

    def generating() -> Iterator[Any]:
        yield things[hook]

    assert list(collect(hosting(echo=plugin(**{hook: generating})), hook)) == ["echo"]


class NotAsync:
    name = "echo"

    def complete(self, request: Request) -> Response:
        return Response("text")

    def acquire(self, call: Call) -> None: ...

    def ended(self, call: Call, outcome: Outcome) -> None: ...

    def call(self, arguments: object, work: object) -> None: ...

    def run(self, command: object, folder: object, limits: object) -> None: ...


class Nameless:
    async def complete(self, request: Request) -> Response:
        return Response("text")

    async def acquire(self, call: Call) -> None: ...

    def ended(self, call: Call, outcome: Outcome) -> None: ...

    async def call(self, arguments: object, work: object) -> None: ...

    async def run(self, command: object, folder: object, limits: object) -> None: ...

    def missing(self) -> None: ...


class EmptyName(Nameless):
    name = ""


class NumberName(Nameless):
    name = 3


@pytest.mark.parametrize(
    ("hook", "method"),
    [
        ("providers", "complete"),
        ("limiters", "acquire"),
        ("tools", "call"),
        ("sandboxes", "run"),
    ],
)
def test_a_method_that_must_be_async_and_is_not_is_an_error(hook: str, method: str) -> None:
    assert f"{method}() must be async" in wrong(hook, [NotAsync()])


@pytest.mark.parametrize("hook", ["providers", "limiters", "tools", "sandboxes"])
@pytest.mark.parametrize("nameless", [Nameless, EmptyName, NumberName])
def test_a_thing_without_a_name_is_an_error(hook: str, nameless: type) -> None:
    assert "it has no name" in wrong(hook, [nameless()])


@pytest.mark.parametrize("name", ["My Echo", "a/b", "Echo", "echo "])
def test_a_provider_that_no_route_could_name_is_an_error(name: str) -> None:
    assert f"{name!r} is no name that a route could have" in wrong(
        "providers", [FakeProvider(name)]
    )


def test_a_limiter_that_cannot_hear_the_end_is_an_error() -> None:
    class Deaf:
        name = "deaf"

        async def acquire(self, call: Call) -> None: ...

    assert "it has no method ended()" in wrong("limiters", [Deaf()])


def test_two_providers_of_one_name_name_both_plugins() -> None:
    host = hosting(
        first=plugin(providers=lambda: [FakeProvider("echo")]),
        second=plugin(providers=lambda: [FakeProvider("echo")]),
    )
    with pytest.raises(
        PluginError, match="two providers are called 'echo', of the plugins 'first' and 'second'"
    ):
        host.providers(Settings())


def test_two_agents_of_one_name_name_both_plugins() -> None:
    host = hosting(first=plugin(agents=[agent()]), second=plugin(agents=[agent()]))
    with pytest.raises(
        PluginError, match="two agents are called 'writer', of the plugins 'first' and 'second'"
    ):
        host.agents()


def test_two_limiters_of_one_name_name_both_plugins() -> None:
    host = hosting(first=plugin(limiters=[Gate()]), second=plugin(limiters=[Gate()]))
    with pytest.raises(
        PluginError, match="two limiters are called 'gate', of the plugins 'first' and 'second'"
    ):
        host.limiters(Settings())


class Lint:
    description = "Check the style."
    parameters: ClassVar[Mapping[str, Any]] = {"type": "object"}
    read_only = True

    def __init__(self, name: str = "lint") -> None:
        self.name = name

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        return ToolResult("clean")


class Box:
    name = "box"

    def missing(self) -> str | None:
        return None

    async def run(self, command: object, folder: object, limits: object) -> CommandResult:
        return CommandResult(0, "", 0.0)


def test_known_models_are_collected_of_all_plugins() -> None:
    one, two = (KnownModel(vendor, "m", f'litellm = "{vendor}"') for vendor in ("one", "two"))
    host = hosting(first=plugin(known_models=[one]), second=plugin(known_models=[two]))
    assert host.known_models() == [one, two]


def test_what_is_no_known_model_is_laid_at_the_door_of_its_plugin() -> None:
    host = hosting(first=plugin(known_models=["gpt"]))
    with pytest.raises(PluginError, match=r"'first'.*'gpt', not a KnownModel"):
        host.known_models()


def test_two_tools_or_sandboxes_of_one_name_name_both_plugins() -> None:
    tools, boxes = [Lint()], [Box()]
    host = hosting(
        first=plugin(tools=tools, sandboxes=boxes), second=plugin(tools=tools, sandboxes=boxes)
    )
    with pytest.raises(PluginError, match="two tools are called 'lint', of the plugins 'first'"):
        host.tools(Settings())
    with pytest.raises(PluginError, match="two sandboxes are called 'box', of the plugins 'first'"):
        host.sandboxes(Settings())


@pytest.mark.parametrize("name", ["my tool", "a/b", "1st", "x" * 65, "é"])
def test_a_tool_that_no_vendor_would_take_is_an_error(name: str) -> None:
    assert f"{name!r} is no name that a tool could have" in wrong("tools", [Lint(name)])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"parameters": None}, "its parameters are no JSON Schema of arguments: it is no table"),
        (
            {"parameters": {"type": "object", "required": None}},
            "its parameters are no JSON Schema of arguments: required: None is not of type 'array'",
        ),
        ({"description": " "}, "it has no description"),
        ({"description": None}, "it has no description"),
        ({"description": "x" * 9000}, "its description is longer than 8000 characters"),
        ({"read_only": None}, "read_only is None, not True or False"),
    ],
)
def test_a_tool_that_a_model_could_not_be_told_of_is_an_error(
    changes: dict[str, Any], why: str
) -> None:
    lint = Lint()
    for name, value in changes.items():
        setattr(lint, name, value)
    assert f"the tool 'lint': {why}" in wrong("tools", [lint])


def test_who_supplied_what_is_known() -> None:
    host = hosting(
        first=plugin(agents=[agent("a")]),
        second=plugin(agents=[agent("b")], providers=[FakeProvider("echo")]),
    )
    assert {name: owner for name, (_, owner) in host.agents().items()} == {
        "a": "first",
        "b": "second",
    }
    assert {name: owner for name, (_, owner) in host.providers(Settings()).items()} == {
        "echo": "second"
    }


def test_agents_join_in_the_order_of_the_plugins_and_of_their_lists() -> None:
    host = hosting(
        first=plugin(agents=[agent("z"), agent("a")]), second=plugin(agents=[agent("m")])
    )
    assert list(host.agents()) == ["z", "a", "m"]


def test_limiters_and_observers_are_asked_in_the_order_of_the_plugins() -> None:
    gates, ears = [Gate("z"), Gate("a")], [Heard(), Heard()]
    host = hosting(
        first=plugin(limiters=[gates[0]], observers=[ears[0]]),
        second=plugin(limiters=[gates[1]], observers=[ears[1]]),
    )
    assert [limiter for limiter, _ in host.limiters(Settings()).values()] == gates
    assert [id(each) for each in host.observers(Settings())] == [id(each) for each in ears]


def test_settings_for_a_provider_that_is_not_there_are_an_error_that_names_the_nearest() -> None:
    host = hosting(echo=plugin(providers=[FakeProvider("echo")]))
    settings = Settings(providers={"ecco": ProviderSettings()}, source="here.toml")
    with pytest.raises(
        SettingsError,
        match=r"^here.toml: tool.rolecall.providers.ecco: no such provider; did you mean 'echo'",
    ):
        host.providers(settings)


# Who decides where an agent runs.


def test_the_plugin_installed_last_is_asked_first() -> None:
    host = hosting(first=plugin(assign=lambda: "one"), last=plugin(assign=lambda: "two"))
    assert host.assignment(agent()) == ("last", "two")


def test_a_plugin_without_an_opinion_leaves_it_to_the_next() -> None:
    host = hosting(first=plugin(assign=lambda: "one"), last=plugin(assign=lambda: None))
    assert host.assignment(agent()) == ("first", "one")


def test_nobody_is_asked_after_the_first_answer() -> None:
    def never() -> Any:
        raise AssertionError("it was asked all the same")

    host = hosting(first=plugin(assign=never), last=plugin(assign=lambda: "two"))
    assert host.assignment(agent()) == ("last", "two")


def test_a_plugin_of_ours_is_asked_after_the_others() -> None:
    host = Host(
        [
            Point("ours", plugin(assign=lambda: "one"), "rolecall"),
            Point("theirs", plugin(assign=lambda: "two"), "another"),
        ]
    )
    assert host.assignment(agent()) == ("theirs", "two")


def test_an_opinion_may_depend_on_the_agent() -> None:
    host = hosting(one=plugin(assign=lambda agent: "one" if agent.name == "a" else None))
    assert host.assignment(agent("a")) == ("one", "one")
    assert host.assignment(agent("b")) is None


@pytest.mark.parametrize("raising", [raising, raising_in_the_middle])
def test_an_opinion_that_raises_is_named(raising: Any) -> None:
    with pytest.raises(PluginError, match=r"'echo' .* rolecall_assign raised KeyError: 'oh'"):
        hosting(echo=plugin(assign=raising)).assignment(agent())


# Commands.


class Adding:
    """A command line that notes who adds to it, and when."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @contextmanager
    def adding(self, plugin: str) -> Iterator[None]:
        self.heard.append(f"{plugin} begins")
        yield
        self.heard.append(f"{plugin} has added")


def test_commands_are_added_by_those_who_have_some_in_the_order_of_plugins() -> None:
    host = hosting(
        one=plugin(commands=lambda cli: cli.heard.append("one adds")),
        none=plugin(agents=[]),
        two=plugin(commands=lambda cli: cli.heard.append("two adds")),
    )
    host.commands(cli := Adding())
    host.check()
    assert cli.heard == [
        *("one begins", "one adds", "one has added"),
        *("two begins", "two adds", "two has added"),
    ]


def test_commands_that_fail_are_named_later_and_the_others_added_now() -> None:
    got: list[str] = []
    host = hosting(bad=plugin(commands=raising), good=plugin(commands=lambda: got.append("asked")))
    host.commands(Adding())
    assert got == ["asked"]
    with pytest.raises(PluginError, match=r"'bad' .*rolecall_commands raised KeyError: 'oh'"):
        host.check()


def evolving(**needs: tuple[str, ...]) -> Any:
    """Change the needs of some agents, and drop those who are not named."""

    def team(agents: Sequence[Agent]) -> list[Agent]:
        return [evolve(each, needs=needs[each.name]) for each in agents if each.name in needs]

    return team


def test_a_plugin_may_replace_remove_and_add_agents() -> None:
    host = Host([])
    host.register("first", plugin(agents=[agent("a"), agent("b", "a"), agent("c", "b")]))
    host.register("second", plugin(team=evolving(a=(), c=("a",))))
    host.register("third", plugin(team=lambda agents: [*agents, agent("d", "c")]))
    found = host.agents()
    assert {name: (each.needs, owner) for name, (each, owner) in found.items()} == {
        "a": ((), "first"),
        "c": (("a",), "second"),
        "d": (("c",), "third"),
    }


def test_a_plugin_may_leave_the_team_as_it_is() -> None:
    host = Host([])
    host.register("first", plugin(agents=[agent("a")]))
    host.register("second", plugin(team=lambda agents: None))
    assert host.agents() == {"a": (agent("a"), "first")}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([agent("a"), agent("a")], "rolecall_team gave two agents called 'a'"),
        (["a"], "rolecall_team gave 'a', not an Agent"),
        ("a", "rolecall_team gave 'a', not a list"),
    ],
)
def test_a_team_that_is_none_names_the_plugin(answer: Any, why: str) -> None:
    host = Host([])
    host.register("odd", plugin(team=answer))
    with pytest.raises(PluginError, match=f"'odd' breaks a hook's contract: {why}"):
        host.agents()


def wanting(*requires: str) -> Point:
    point = Point("new", plugin(agents=[agent("a")]))
    point.distribution = point.distribution._replace(requires=requires)
    return point


def test_a_plugin_for_another_rolecall_says_so() -> None:
    host = Host([wanting("attrs", "rolecall>=99")])
    with pytest.raises(PluginError, match=r"'new' \(elsewhere 1.0\) wants rolecall>=99, and this"):
        host.check()
    assert host.agents() == {}


@pytest.mark.parametrize(
    "requires",
    [[], ["rolecall"], ["rolecall>=0.0.1"], ["rolecall-acme>=99"], ["rolecall>=99; extra == 'x'"]],
)
def test_a_plugin_for_this_rolecall_is_loaded(requires: list[str]) -> None:
    Host([wanting(*requires)]).check()


def test_how_long_a_plugin_took_to_import_is_kept() -> None:
    class Slow(Point):
        def load(self) -> Any:
            time.sleep(0.01)
            return super().load()

    (found,) = Host([Slow("slow", plugin(agents=[agent("a")]))]).plugins
    assert found.seconds >= 0.01


def test_a_plugin_written_before_a_hook_had_all_its_arguments_works_on() -> None:
    """A hook may grow: a plugin is only passed what it asks for."""
    old = ModuleType("old")

    @hookimpl
    def rolecall_providers() -> list[FakeProvider]:
        return [FakeProvider("old")]

    old.rolecall_providers = rolecall_providers  # type: ignore[attr-defined]
    assert list(hosting(old=old).providers(Settings())) == ["old"]


def test_an_argument_that_the_hook_does_not_pass_is_an_error() -> None:
    message = failure(Point("echo", plugin(assign=lambda agnt: None)))
    assert "rolecall_assign passes agent, and not 'agnt'" in message
    assert message.endswith(f"{SKIP}echo")


def test_a_hook_without_its_mark_is_pointed_out() -> None:
    forgetful = ModuleType("forgetful")

    def rolecall_agents() -> list[Agent]:
        return []

    forgetful.rolecall_agents = rolecall_agents  # type: ignore[attr-defined]
    message = failure(Point("echo", forgetful))
    assert "rolecall_agents is not marked with @hookimpl, so nobody would call it" in message
    assert message.endswith(f"{SKIP}echo")


def test_a_module_whose_name_begins_as_hooks_do_is_none() -> None:
    importing = plugin(agents=[])
    importing.rolecall_other = ModuleType("rolecall_other")  # type: ignore[attr-defined]
    Host([Point("echo", importing)]).check()
