"""Secrets planted in every channel into rolecall come out of none."""

import asyncio
import gzip
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from acting import Shell as Sandbox
from acting import call as tool_call
from attrs import define, evolve, field
from building import Heard, agent, plugin
from hypothesis import HealthCheck, Phase, given, settings
from installing import Shell
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from planting import (
    ENCODINGS,
    SECRETS,
    Plant,
    environment,
    leaks_in,
    leaks_logged,
    leaks_of,
    plants,
    shown,
)
from raw_server import Answer as RawAnswer
from raw_server import answering, streamed, whole
from replies import CLAUDE, chunk, delta, event
from vendors import PLUGINS

from rolecall import (
    CallText,
    Cause,
    CommandResult,
    Host,
    ProviderError,
    Redactor,
    Request,
    Response,
    Settings,
    Stop,
    Team,
    ToolCall,
    ToolResult,
    Usage,
    Verbatim,
    Work,
)
from rolecall_plugins import report
from rolecall_plugins import tools as file_tools
from rolecall_plugins.cassettes.recording import recorded_in
from rolecall_plugins.cassettes.redaction import Redaction
from rolecall_plugins.telemetry.spans import RunSpans

USAGE = Usage(10, 5)


@define
class Asked:
    """A provider whose answers come from a function of the request and the number of the call."""

    answer: Callable[[Request, int], Response]
    name: str = "one"
    model: str = "m"
    calls: int = 0

    async def complete(self, request: Request) -> Response:
        self.calls += 1
        await request.progress.sending()
        return self.answer(request, self.calls)


@define
class World:
    """A run with everything that may hear of it, and what was to be seen from outside."""

    folder: Path
    caplog: pytest.LogCaptureFixture
    capsys: pytest.CaptureFixture[str]
    environment: Mapping[str, str]
    heard: Heard = field(factory=Heard)
    errors: list[BaseException] = field(factory=list)
    shown: list[str] = field(factory=list)
    spans: InMemorySpanExporter = field(factory=InMemorySpanExporter)

    @property
    def settings(self) -> Settings:
        return Settings(
            interval=0,
            attempts=1,
            quiet=True,
            runs=str(self.folder / "runs"),
            environment=self.environment,
        )

    def team(self, provider: Any, **more: Any) -> Team:
        """Put a team together that one provider answers; more: agents, settings and hooks."""
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        observers = [self.heard, RunSpans(tracers.get_tracer("test"), content=True)]
        agents = more.pop("agents", [agent("a"), agent("b", "a", plan=True)])
        settings = more.pop("settings", self.settings)
        more["observers"] = [*more.pop("observers", ()), *observers]
        more.setdefault("providers", [provider])
        host = Host([])
        host.register("report", report)
        hooks = {
            name: value if callable(value) else (lambda value=value: value)
            for name, value in more.items()
        }
        host.register("made", plugin(**hooks))
        host.register("files", file_tools)
        return Team(agents, settings=settings, host=host)

    def run(
        self,
        answer: Callable[[Request, int], Response] | Any,
        request: str = "Build it.",
        **more: Any,
    ) -> Path:
        provider = Asked(answer) if callable(answer) else answer
        return self.work(lambda: self.team(provider, **more).run(request))

    def work(self, make: Callable[[], Any]) -> Path:
        async def awaited() -> Path:
            result = await make()
            self.errors += result.failed.values()
            self.shown += [repr(result), *result.deliverables.values(), result.plan or ""]
            return result.folder

        try:
            return asyncio.run(awaited())
        except Exception as error:
            self.errors.append(error)
            return self.folder

    def leaks(self) -> Iterator[str]:
        yield from leaks_in(self.folder)
        yield from leaks_logged(self.caplog.records)
        for error in self.errors:
            yield from leaks_of(error)
        out, err = self.capsys.readouterr()
        texts = {"events": repr(self.heard), "out": out, "err": err, "results": repr(self.shown)}
        texts["stream"] = "".join(event.delta for event in self.heard.of(CallText))
        texts["spans"] = "".join(span.to_json() for span in self.spans.get_finished_spans())
        for where, text in texts.items():
            yield from (f"{variable} in {where}" for variable in shown(text))


Channel = Callable[[World, Plant], None]
Planted = Callable[[Channel], None]
CHANNELS: dict[str, Channel] = {}


def channel(into: Channel) -> Channel:
    CHANNELS[into.__name__.replace("_", " ")] = into
    return into


def raising(error: BaseException) -> Callable[..., Any]:
    def raise_it(*_: Any) -> Any:
        raise error

    return raise_it


# What a vendor may send back.


@channel
def an_answer(world: World, plant: Plant) -> None:
    world.run(lambda request, number: Response(f"# Said\n\nKey: {plant.text}.", USAGE))


@channel
def a_plan_alone(world: World, plant: Plant) -> None:
    world.run(lambda request, number: Response(plant.text if number == 2 else "fine", USAGE))


@channel
def a_stream(world: World, plant: Plant) -> None:
    def answer(request: Request, number: int) -> Response:
        for piece in ("so: ", *plant.pieces, " it is"):
            request.progress.text(piece)
        return Response(f"so: {plant.text} it is", USAGE)

    world.run(answer)


@channel
def an_answer_in_two_parts(world: World, plant: Plant) -> None:
    half = len(plant.text) // 2

    def answer(request: Request, number: int) -> Response:
        if number == 1:
            return Response(plant.text[:half], USAGE, stop=Stop.LENGTH)
        return Response(plant.text[half:] if number == 2 else "fine", USAGE)

    world.run(answer)


@channel
def a_refusal(world: World, plant: Plant) -> None:
    world.run(lambda *_: Response("no", USAGE, stop=Stop.REFUSAL, detail=plant.text))


@channel
def a_request_id(world: World, plant: Plant) -> None:
    world.run(lambda *_: Response("fine", USAGE, request_id=plant.text))


@channel
def headers_of_an_answer(world: World, plant: Plant) -> None:
    world.run(lambda *_: Response("fine", USAGE, headers={"x-ratelimit": plant.text}))


@channel
def an_error(world: World, plant: Plant) -> None:
    world.run(raising(ProviderError(Cause.AUTH, f"you sent {plant.text}, which is wrong")))


@channel
def a_long_error(world: World, plant: Plant) -> None:
    world.run(raising(ProviderError(Cause.AUTH, f"{'x' * 480}{plant.text}{'y' * 600}")))


@channel
def an_error_that_is_tried_again(world: World, plant: Plant) -> None:
    error = ProviderError(Cause.SERVER_ERROR, plant.text, retry_after=0)
    world.run(raising(error), settings=evolve(world.settings, attempts=3))


@channel
def an_error_of_the_first_of_two_routes(world: World, plant: Plant) -> None:
    first = Asked(raising(ProviderError(Cause.OVERLOADED, plant.text)))
    second = Asked(lambda *_: Response("fine", USAGE), name="two")
    agents = [agent("a", routes=["one", "two"])]
    world.run(first, agents=agents, providers=[first, second])


@channel
def an_errors_request_id(world: World, plant: Plant) -> None:
    world.run(raising(ProviderError(Cause.AUTH, "no", request_id=plant.text)))


@channel
def headers_of_an_error(world: World, plant: Plant) -> None:
    error = ProviderError(Cause.RATE_LIMITED, "no", headers={"x-ratelimit": plant.text})
    world.run(raising(error))


@channel
def what_an_error_came_from(world: World, plant: Plant) -> None:
    def answer(request: Request, number: int) -> Response:
        try:
            try:
                raise ValueError(f"deep down: {plant.text}")
            except ValueError as error:
                raise OSError(5, plant.text, plant.text) from error
        except OSError as error:
            raise ProviderError(Cause.CONNECTION, "reset") from error

    world.run(answer)


@channel
def what_an_error_came_during(world: World, plant: Plant) -> None:
    def answer(request: Request, number: int) -> Response:
        try:
            raise KeyError(plant.text)
        except KeyError:
            raise ProviderError(Cause.CONNECTION, "reset")  # noqa: B904

    world.run(answer)


@channel
def a_note_on_an_error(world: World, plant: Plant) -> None:
    error = ProviderError(Cause.CONNECTION, "reset")
    error.add_note(plant.text)
    world.run(raising(error))


@channel
def an_error_with_attributes(world: World, plant: Plant) -> None:
    inner = RuntimeError("see the request")
    inner.request = {"headers": {"x-api-key": plant.text}}  # type: ignore[attr-defined]
    error = ProviderError(Cause.CONNECTION, "reset")
    error.__cause__ = inner
    world.run(raising(error))


# What a plugin may do.


@channel
def a_provider_that_breaks(world: World, plant: Plant) -> None:
    world.run(raising(ValueError(plant.text)))


@channel
def a_provider_that_ends_the_process(world: World, plant: Plant) -> None:
    world.run(raising(SystemExit(plant.text)))


@channel
def a_provider_that_returns_something_else(world: World, plant: Plant) -> None:
    world.run(lambda *_: {"text": plant.text})  # type: ignore[arg-type,return-value]


@channel
def a_provider_that_lacks_something(world: World, plant: Plant) -> None:
    class Lacking(Asked):
        def missing(self) -> str | None:
            return f"not a key: {plant.text}"

    world.run(Lacking(lambda *_: Response("fine")))


def broken(name: str, plant: Plant) -> Any:
    made = type("Broken", (Asked,), {name: raising(ValueError(plant.text))})
    return made(lambda *_: Response("fine", USAGE))


@channel
def a_provider_that_cannot_say_what_it_lacks(world: World, plant: Plant) -> None:
    world.run(broken("missing", plant))


@channel
def a_provider_that_cannot_price(world: World, plant: Plant) -> None:
    world.run(broken("cost", plant))


@channel
def a_provider_that_knows_no_ceiling(world: World, plant: Plant) -> None:
    one = broken("max_output_tokens", plant)
    one.answer = raising(ProviderError(Cause.THINKING_ONLY, "all thought"))
    world.run(one, settings=evolve(world.settings, attempts=2))


@channel
def a_provider_that_cannot_be_prepared(world: World, plant: Plant) -> None:
    world.run(broken("prepare", plant))


@channel
def a_provider_that_does_not_close(world: World, plant: Plant) -> None:
    class Unclosable(Asked):
        async def aclose(self) -> None:
            raise ValueError(plant.text)

    world.run(Unclosable(lambda *_: Response("fine", USAGE)))


class Limiter:
    name = "gate"

    async def acquire(self, call: Any) -> None:
        pass

    def ended(self, call: Any, outcome: Any) -> None:
        pass


@channel
def a_limiter_that_refuses(world: World, plant: Plant) -> None:
    class Refusing(Limiter):
        async def acquire(self, call: Any) -> None:
            raise ProviderError(Cause.RATE_LIMITED, plant.text)

    world.run(lambda *_: Response("fine", USAGE), limiters=[Refusing()])


@channel
def a_limiter_that_breaks(world: World, plant: Plant) -> None:
    class Breaking(Limiter):
        async def acquire(self, call: Any) -> None:
            raise ValueError(plant.text)

    world.run(lambda *_: Response("fine", USAGE), limiters=[Breaking()])


@channel
def a_limiter_that_breaks_at_the_end(world: World, plant: Plant) -> None:
    class Breaking(Limiter):
        def ended(self, call: Any, outcome: Any) -> None:
            raise ValueError(plant.text)

    world.run(lambda *_: Response("fine", USAGE), limiters=[Breaking()])


@channel
def a_limiters_reason(world: World, plant: Plant) -> None:
    class Waiting(Limiter):
        async def acquire(self, call: Any) -> None:
            call.on_wait(f"because of {plant.text}", 0.1)

    world.run(lambda *_: Response("fine", USAGE), limiters=[Waiting()])


@channel
def an_observer_that_breaks(world: World, plant: Plant) -> None:
    class Breaking:
        def notify(self, event: Any) -> None:
            raise ValueError(plant.text)

    world.run(lambda *_: Response("fine", USAGE), observers=[Breaking()])


@channel
def an_observer_that_does_not_close(world: World, plant: Plant) -> None:
    class Unclosable:
        def notify(self, event: Any) -> None:
            pass

        async def aclose(self) -> None:
            raise ValueError(plant.text)

    world.run(lambda *_: Response("fine", USAGE), observers=[Unclosable()])


@channel
def a_plugin_that_logs(world: World, plant: Plant) -> None:
    class Logging:
        def notify(self, event: Any) -> None:
            logging.getLogger("rolecall").warning("seen %s", plant.text)

    world.run(lambda *_: Response("fine", USAGE), observers=[Logging()])


@channel
def a_hook_that_breaks(world: World, plant: Plant) -> None:
    world.run(lambda *_: Response("fine"), limiters=raising(ValueError(plant.text)))


@channel
def a_hook_that_returns_something_else(world: World, plant: Plant) -> None:
    world.run(lambda *_: Response("fine"), limiters=[plant.text])


# What agents act with.


def acting(world: World, *calls: ToolCall, **more: Any) -> Path:
    def answer(request: Request, number: int) -> Response:
        if number <= len(calls):
            parts = (evolve(calls[number - 1], id=str(number)),)
            return Response("", USAGE, stop=Stop.TOOL_USE, parts=parts)
        return Response("fine", USAGE)

    more.setdefault("sandbox", lambda: None)
    more.pop("sandbox")
    return world.run(answer, agents=[agent("a", tools=("*",))], **more)


class Planter:
    """A tool whose work is a function."""

    description = "Plant."
    parameters: Mapping[str, Any] = {"type": "object"}
    read_only = False

    def __init__(self, work: Callable[[Work], str], name: str = "plant.it") -> None:
        self.name = name
        self._work = work

    async def call(self, arguments: Mapping[str, Any], work: Work) -> ToolResult:
        return ToolResult(self._work(work))


PLANT = ToolCall("1", "plant_it")


@channel
def arguments_of_a_tool_call(world: World, plant: Plant) -> None:
    acting(world, ToolCall("1", "plant_it", {"a": [{"b": plant.text}]}), tools=[Planter(str)])


@channel
def names_of_a_tools_arguments(world: World, plant: Plant) -> None:
    acting(world, ToolCall("1", "plant_it", {plant.text: 1}), tools=[Planter(lambda work: "")])


@channel
def the_name_of_a_tool(world: World, plant: Plant) -> None:
    acting(world, ToolCall("1", plant.text))


@channel
def the_id_of_a_tool_call(world: World, plant: Plant) -> None:
    def answer(request: Request, number: int) -> Response:
        if number == 1:
            parts = (tool_call("write", plant.text, path="a.txt", content="a"),)
            return Response("", USAGE, stop=Stop.TOOL_USE, parts=parts)
        return Response("fine", USAGE)

    world.run(answer, agents=[agent("a", tools=("workspace",))])


@channel
def arguments_that_are_no_json(world: World, plant: Plant) -> None:
    acting(world, evolve(PLANT, malformed=plant.text), tools=[Planter(lambda work: "")])


@channel
def arguments_that_do_not_fit(world: World, plant: Plant) -> None:
    acting(world, tool_call("read", path=[plant.text]))


@channel
def what_goes_back_verbatim(world: World, plant: Plant) -> None:
    verbatim = Verbatim("one", {"signature": plant.text})
    acting(world, evolve(PLANT, verbatim=verbatim), tools=[Planter(lambda work: "")])


@channel
def a_tools_result(world: World, plant: Plant) -> None:
    acting(world, PLANT, tools=[Planter(lambda work: f"found {plant.text}")])


@channel
def a_long_result(world: World, plant: Plant) -> None:
    long = f"{'x' * 7990}{plant.text}{'y' * 30_000}"
    acting(world, PLANT, tools=[Planter(lambda work: long)])


@channel
def a_tool_that_breaks(world: World, plant: Plant) -> None:
    acting(world, PLANT, tools=[Planter(raising(ValueError(plant.text)))])


@channel
def a_file_of_the_workspace(world: World, plant: Plant) -> None:
    acting(
        world,
        tool_call("write", path="a.py", content=f"KEY = '{plant.text}'\n"),
        tool_call("read", path="a.py"),
    )


@channel
def the_name_of_a_file(world: World, plant: Plant) -> None:
    name = "".join(each if each.isalnum() or each in "-_=+%" else "-" for each in plant.text)
    acting(world, tool_call("write", path=f"{name[:200]}.py", content="pass"))


@channel
def a_file_that_a_plugins_tool_writes(world: World, plant: Plant) -> None:
    def work(work: Work) -> str:
        assert work.workspace is not None
        work.workspace.write("a.txt", plant.text)
        return "written"

    acting(world, PLANT, tools=[Planter(work)])


class Echo(Sandbox):
    def __init__(self, output: str) -> None:
        super().__init__()
        self._output = output

    async def run(self, *_: Any) -> CommandResult:
        return CommandResult(1, self._output, 0.0)


@channel
def the_output_of_a_check(world: World, plant: Plant) -> None:
    acting(
        world,
        tool_call("write", path="a.py", content="pass"),
        settings=evolve(world.settings, verify=("make test",)),
        sandboxes=[Echo(plant.text)],
    )


# What the operator writes.


@channel
def a_request(world: World, plant: Plant) -> None:
    world.run(lambda *_: Response("fine", USAGE), request=f"{plant.text} is our key. Use it.")


@channel
def a_request_that_is_answered_in_its_words(world: World, plant: Plant) -> None:
    def answer(request: Request, number: int) -> Response:
        return Response(request.messages[0].text, USAGE)

    world.run(answer, request=f"Use {plant.text}")


@channel
def a_change(world: World, plant: Plant) -> None:
    def answer(request: Request, number: int) -> Response:
        text = request.messages[0].text
        return Response("none" if "No other form holds" in text else text, USAGE)

    team = world.team(Asked(answer))
    folder = world.work(lambda: team.run("Build it."))
    world.work(lambda: team.update(folder, f"Use {plant.text} from now on."))


@channel
def an_edit(world: World, plant: Plant) -> None:
    team = world.team(Asked(lambda request, _: Response(request.messages[0].text, USAGE)))
    folder = world.work(lambda: team.run("Build it."))
    edited = folder / "deliverables" / "01-a.md"
    edited.write_text(f"By hand: {plant.text}\n", "utf-8")
    world.work(lambda: team.resume(folder))


# What comes over a connection.


def asking(
    world: World, vendor: str, plant: Plant, answer: bytes | RawAnswer, client: str = ""
) -> None:
    """Have a vendor's provider ask a server, and record what goes out and comes back."""
    base = {"claude": "ANTHROPIC_API_BASE", "gemini": "GEMINI_API_BASE"}[vendor]
    with answering(answer) as server:
        variables = {base: server.url, "DISABLE_AIOHTTP_TRANSPORT": client and "True"}
        settings = world.settings.with_environment(**variables)
        (made,) = PLUGINS[vendor].rolecall_providers(settings)
        agents = [agent("a", routes=[vendor])]
        redact = Redactor.of(settings)
        redaction = Redaction(redact.secrets, redact.known)
        with recorded_in(world.folder / "tape.yaml", redaction, "keep"):
            world.run(made, agents=agents, settings=settings, request="Say it.")
        assert server.requests


def header(text: str) -> str:
    """Return what a header or a status line can hold of a text."""
    return "".join(each if each.isprintable() else " " for each in text)


WIRE: dict[str, Callable[[str, Plant], bytes]] = {
    "the status line": lambda _, plant: whole(b"{}", f"401 No {header(plant.text)}"),
    "a header": lambda _, plant: whole(b"{}", "429 No", f"retry-after: {header(plant.text)}"),
    "the id of a request": lambda _, plant: whole(
        b"{}", "500 No", f"request-id: {header(plant.text)}"
    ),
    "a redirect": lambda _, plant: whole(
        b"", "307 Else", f"location: https://a/?k={header(plant.text)}"
    ),
    "an error in JSON": lambda _, plant: whole(
        json.dumps({"error": {"type": "authentication_error", "message": plant.text}}).encode(),
        "401 No",
    ),
    "a page of a proxy": lambda _, plant: whole(
        f"<html><h1>Bad gateway</h1>{plant.text}</html>".encode(), "502 No"
    ),
    "a packed error": lambda _, plant: whole(
        gzip.compress(plant.text.encode()), "400 No", "content-encoding: gzip"
    ),
    "a success that is none": lambda _, plant: whole(plant.text.encode()),
    "no HTTP at all": lambda _, plant: f"{plant.text}\r\n\r\n".encode(),
    "a broken chunk": lambda _, plant: streamed() + f"{header(plant.text)}\r\n".encode(),
    "a streamed answer": lambda vendor, plant: whole(
        streaming(vendor, plant.pieces), "200 OK", "content-type: text/event-stream"
    ),
    "an error in a stream": lambda _, plant: whole(
        event({"type": "error", "error": {"type": "overloaded_error", "message": plant.text}}),
        "200 OK",
        "content-type: text/event-stream",
    ),
}


def streaming(vendor: str, pieces: Sequence[str]) -> bytes:
    if vendor == "gemini":
        last = [chunk("", finishReason="STOP")]
        return b"".join(map(event, [*map(chunk, pieces), *last]))
    begin, end = CLAUDE.events[:2], CLAUDE.events[-3:]
    return b"".join(map(event, [*begin, *map(delta, pieces), *end]))


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["claude", "gemini"])
@pytest.mark.parametrize("name", sorted(WIRE))
def test_a_secret_that_comes_over_a_connection_goes_no_further(
    name: str, vendor: str, planted: Planted
) -> None:
    planted(lambda world, plant: asking(world, vendor, plant, WIRE[name](vendor, plant)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the status line", "a header", "an error in JSON"])
def test_clients_log_no_secret_that_is_echoed(name: str, planted: Planted) -> None:
    planted(lambda world, plant: asking(world, "claude", plant, WIRE[name]("", plant), "httpx"))


def test_whoever_logs_meanwhile_logs_no_secret(planted: Planted) -> None:
    def log(world: World, plant: Plant) -> None:
        def answer(request: Request, number: int) -> Response:
            logging.getLogger("some.client").debug("sent %r", {"x-api-key": plant.text})
            return Response("fine", USAGE)

        world.run(answer)

    planted(log)


# What the command line prints.


def crashing(shell: Shell, plant: Plant) -> None:
    code = f"""
import click
from rolecall import hookimpl

@hookimpl
def rolecall_commands(cli):
    @cli.command()
    @click.option("--debug", is_flag=True)
    def crash(debug):
        raise KeyError({plant.text!r})
"""
    shell.install("crash", code)


def not_loading(shell: Shell, plant: Plant) -> None:
    shell.install("unloadable", f"raise ValueError({plant.text!r})")


def no_address(shell: Shell, plant: Plant) -> None:
    address = json.dumps(f"http://alice:{plant.text}@host:port")
    shell.configure(f"[tool.rolecall.providers.claude]\napi_base = {address}\n")


def nothing(shell: Shell, plant: Plant) -> None:
    pass


COMMANDS: dict[str, tuple[Callable[[Shell, Plant], None], Sequence[str]]] = {
    "a command that crashes": (crashing, ["crash"]),
    "the traceback of a crash": (crashing, ["crash", "--debug"]),
    "a list of plugins": (not_loading, ["plugins"]),
    "a run with a broken plugin": (not_loading, ["run", "Build it.", "--offline"]),
    "a doctor of a broken plugin": (not_loading, ["doctor"]),
    "a doctor of a wrong address": (no_address, ["doctor"]),
    "a doctor for programs": (no_address, ["doctor", "--json"]),
    "a wrong option": (nothing, ["run", "--budget", "PLANT", "Build it."]),
    "a wrong route": (nothing, ["run", "--assign", "*=PLANT", "Build it."]),
    "a wrong name": (nothing, ["resume", "PLANT"]),
}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_secret_is_not_printed(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare, command = COMMANDS[name]
    for variable, value in environment(tmp_path).items():
        monkeypatch.setenv(variable, value)
    for encoding in ("plain", "json", "base64 at 1"):
        text = ENCODINGS[encoding](SECRETS["ANTHROPIC_API_KEY"])
        plant = Plant("ANTHROPIC_API_KEY", encoding, text, 7)
        folder = tmp_path / encoding
        folder.mkdir()
        with monkeypatch.context() as patch:
            shell = Shell(folder, patch, capsys)
            prepare(shell, plant)
            ended = shell(*(plant.text if word == "PLANT" else word for word in command))
        assert shown(ended.out + ended.err) == []


@pytest.fixture
def planted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Planted:
    """Try a channel with secrets in some forms, and search all that can be seen from outside."""
    numbers = count()
    variables = environment(tmp_path)

    def check(into: Channel) -> None:
        @settings(max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(plants())
        def tried(plant: Plant) -> None:
            caplog.clear()
            caplog.set_level(logging.DEBUG)
            capsys.readouterr()
            folder = tmp_path / str(next(numbers))
            folder.mkdir()
            world = World(folder, caplog, capsys, variables)
            into(world, plant)
            assert [*world.leaks()] == []
            shutil.rmtree(folder)

        tried()

    return check


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_a_secret_comes_out_nowhere(name: str, planted: Planted) -> None:
    planted(CHANNELS[name])
