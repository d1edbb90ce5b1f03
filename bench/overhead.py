"""Measures what a call costs the client: CPU time and memory, beside bare litellm and peers.

    python bench/overhead.py [--quick] [--only CONTESTANT]

Everyone gets the same answers, in Anthropic's format, from a server in a process of its own. Each
contestant is an interpreter of its own, which stays: they take turns in rounds, and what is shown
is the median, in CPU milliseconds per answered call, and in brackets the median of the ratios to
litellm's in the same round. "failing over" means that a first model is overloaded (HTTP 529), a
second one answers, and nobody retries; its price is that of both requests. litellm's own row fails
over by try and except. A streamed answer comes in 20 pieces.
"""

import argparse
import asyncio
import gc
import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

KEY = "sk-ant-bench"
DOWN, UP, OTHER = "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-5-5"
SYSTEM = "You answer in one sentence."
QUESTION = "Name the first risk of a URL shortener that comes to mind."
PIECES = ["An open redirect, "] * 19 + ["used by phishers."]
ANSWER = "".join(PIECES)
USAGE = {"input_tokens": 25, "output_tokens": 60}
SETTLING = 0.1  # seconds after the last answer, in which some still log it
AT_ONCE = 50
TEAM, QUEUE, RUNS = 1000, 10_000, 1000


@frozen
class Load:
    """Calls to make.

    failing: whether the first model of two is overloaded.
    runs: how often it is all done, one after the other.
    """

    calls: int
    at_once: int
    failing: bool = False
    stream: bool = False
    runs: int = 1

    @property
    def models(self) -> tuple[str, str]:
        return (DOWN if self.failing else OTHER, UP)


@frozen
class Measured:
    """What a load came to.

    cpu: milliseconds of CPU time per answered call. peak, resident: MB of memory that the process
    has had at most since it began, and has now.
    """

    cpu: float
    peak: float
    resident: float


Ask = Callable[[Load], Awaitable[str]]
Work = Callable[[Load], Awaitable[None]]


@frozen
class Contestant:
    """A way to make calls that can be installed.

    make: gives what makes a load's calls, given the server's address and a folder.
    """

    package: str
    make: Callable[[str, Path], Work]
    streams: bool = False
    fails_over: bool = True


COLUMNS = {
    "plain, 1 at once": Load(100, 1),
    "plain, 50 at once": Load(200, AT_ONCE),
    "failing over, 1": Load(30, 1, failing=True),
    "failing over, 50": Load(100, AT_ONCE, failing=True),
    "streamed, 1": Load(20, 1, stream=True),
    "streamed, 50": Load(100, AT_ONCE, stream=True),
}


def apiece(ask: Ask) -> Work:
    """Make a load's calls one by one, as many at once as it wants."""

    async def work(load: Load) -> None:
        turns = iter(range(load.calls))

        async def worker() -> None:
            for _ in turns:
                assert await ask(load) == ANSWER

        await asyncio.gather(*(worker() for _ in range(load.at_once)))

    return work


def bare(base: str, folder: Path) -> Work:
    """Send the bytes that are needed, and read the text of the reply."""
    from aiohttp import ClientSession

    session = cache(ClientSession)
    said = [{"role": "user", "content": QUESTION}]

    async def ask(load: Load) -> str:
        body = {"model": UP, "system": SYSTEM, "messages": said, "max_tokens": 1000}
        url, headers = f"{base}/v1/messages", {"x-api-key": KEY}
        async with session().post(url, json=body, headers=headers) as reply:
            text: str = (await reply.json())["content"][0]["text"]
            return text

    return apiece(ask)


def litellm(base: str, folder: Path) -> Work:
    import litellm
    from litellm import InternalServerError, acompletion

    litellm.suppress_debug_info = True  # it prints where to give feedback

    async def once(model: str, stream: bool) -> str:
        answer: Any = await acompletion(**_litellm_model(model, base), messages=SAID, stream=stream)
        if stream:
            return "".join([each.choices[0].delta.content or "" async for each in answer])
        return str(answer.choices[0].message.content)

    async def ask(load: Load) -> str:
        first, second = load.models
        try:
            return await once(first, load.stream)
        except InternalServerError:
            return await once(second, load.stream)

    return apiece(ask)


SAID = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]


def _litellm_model(model: str, base: str) -> dict[str, Any]:
    return {
        "model": f"anthropic/{model}",
        "api_base": base,
        "api_key": KEY,
        "max_tokens": 1000,
        "max_retries": 0,
    }


def router(base: str, folder: Path) -> Work:
    import litellm
    from litellm import Router

    litellm.suppress_debug_info = True

    made = Router(
        model_list=[
            {"model_name": model, "litellm_params": _litellm_model(model, base)}
            for model in (DOWN, OTHER, UP)
        ],
        fallbacks=[{DOWN: [UP]}, {OTHER: [UP]}],
        num_retries=0,
        disable_cooldowns=True,
    )

    async def ask(load: Load) -> str:
        answer: Any = await made.acompletion(model=load.models[0], messages=SAID)
        return str(answer.choices[0].message.content)

    return apiece(ask)


def pydantic_ai(base: str, folder: Path) -> Work:
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = _anthropic(base)

    @cache
    def agent(models: tuple[str, str]) -> "Agent[None, str]":
        provider = AnthropicProvider(anthropic_client=client)
        routes = [AnthropicModel(model, provider=provider) for model in models]
        return Agent(FallbackModel(*routes), system_prompt=SYSTEM)

    async def ask(load: Load) -> str:
        return (await agent(load.models).run(QUESTION)).output

    return apiece(ask)


def _anthropic(base: str) -> Any:
    from anthropic import AsyncAnthropic

    return AsyncAnthropic(base_url=base, api_key=KEY, max_retries=0)


def langchain(base: str, folder: Path) -> Work:
    from langchain_anthropic import ChatAnthropic
    from langchain_core.runnables import Runnable

    def chat(model: str) -> ChatAnthropic:
        made: dict[str, Any] = {"model": model, "base_url": base, "api_key": KEY}
        return ChatAnthropic(**made, max_retries=0, max_tokens=1000)

    @cache
    def chain(models: tuple[str, str]) -> "Runnable[Any, Any]":
        first, second = map(chat, models)
        return first.with_fallbacks([second])

    async def ask(load: Load) -> str:
        answer = await chain(load.models).ainvoke([("system", SYSTEM), ("human", QUESTION)])
        return str(answer.content)

    return apiece(ask)


def a_run(base: str, folder: Path) -> Work:
    """Put a team to work whose agents need nobody: journal, events, judgement, limiter."""
    return _runs(base, folder, str(folder / "state"))


def a_run_alone(base: str, folder: Path) -> Work:
    """Do the same, and share no limits with other processes."""
    return _runs(base, folder, "")


def _runs(base: str, folder: Path, state: str) -> Work:
    from rolecall import Agent, Team
    from rolecall_plugins.report import writer

    class Undrawn:  # it is in a process of its own, which does not count here
        def __init__(self, folder: Path) -> None:
            pass

        def draw(self, told: Mapping[str, Any]) -> None:
            pass

    writer.Drawer = Undrawn

    @cache
    def team(load: Load) -> Team:
        routes = [f"claude/{model}" for model in load.models]
        agents = [
            Agent(name=f"agent-{n}", title="T", goal="g", prompt=SYSTEM, routes=routes)
            for n in range(load.calls)
        ]
        return Team(agents, settings=_settings(base, load, state, str(folder / "runs")))

    async def work(load: Load) -> None:
        for _ in range(load.runs):
            result = await team(load).run(QUESTION)
            texts = list(result.deliverables.values())
            assert len(texts) == load.calls, result.failed
            assert all(text.strip() == ANSWER for text in texts)

    return work


def an_llm(base: str, folder: Path) -> Work:
    """Make calls outside any run."""
    from rolecall import LLM

    @cache
    def llm(load: Load) -> LLM:
        routes = [f"claude/{model}" for model in load.models]
        settings = _settings(base, load, str(folder / "state"), "")
        return LLM(*routes, system=SYSTEM, settings=settings)

    async def ask(load: Load) -> str:
        return await llm(load).acall(QUESTION)

    return apiece(ask)


def _settings(base: str, load: Load, state: str, runs: str) -> Any:
    """Let pacing take no time, and nobody retry or be left alone."""
    from rolecall import Action, Cause, ProviderSettings, Settings

    at_once = min(load.at_once, AT_ONCE)
    return Settings(
        interval=0,
        providers={"claude": ProviderSettings(api_base=base, concurrency=at_once)},
        on={Cause.OVERLOADED: Action.FALLBACK},
        breaker_failures=1_000_000,
        stream=load.stream,
        state=state,
        runs=runs,
        quiet=True,
    ).with_environment(ANTHROPIC_API_KEY=KEY)


CONTESTANTS = {
    "litellm": Contestant("litellm", litellm, streams=True),
    "(aiohttp alone)": Contestant("aiohttp", bare, fails_over=False),
    "rolecall, a run": Contestant("rolecall", a_run, streams=True),
    "rolecall, a run that shares no limits": Contestant("rolecall", a_run_alone),
    "rolecall, `LLM.acall`": Contestant("rolecall", an_llm, streams=True),
    "litellm's Router": Contestant("litellm", router),
    "pydantic-ai, `FallbackModel`": Contestant("pydantic_ai", pydantic_ai),
    "langchain, `with_fallbacks`": Contestant("langchain_anthropic", langchain),
}


class Server(asyncio.Protocol):
    """Answers as Anthropic's API would, without looking any closer than it must."""

    def __init__(self) -> None:
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if end and len(body) >= length:
            self._came = b""
            self._answer(json.loads(body))

    def _answer(self, request: Mapping[str, Any]) -> None:
        if request["model"] == DOWN:
            self._transport.write(OVERLOADED)
        elif request.get("stream"):
            self._next(iter(STREAM))
        else:
            self._transport.write(MESSAGE)

    def _next(self, pieces: Iterator[bytes]) -> None:
        for piece in itertools.islice(pieces, 1):
            self._transport.write(piece)
            asyncio.get_running_loop().call_later(0.001, self._next, pieces)


def _whole(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nrequest-id: req_1\r\n"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


def _streamed() -> list[bytes]:
    """Give the head, each piece, and the end, as the chunks that are sent."""
    start = {**_message(), "content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[list[dict[str, Any]]] = [
        [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": block},
        ],
        *([_delta(piece)] for piece in PIECES),
        [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ended, "usage": USAGE},
            {"type": "message_stop"},
        ],
    ]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return [head, *(_chunk(b"".join(map(_event, each))) for each in events), _chunk(b"")]


def _message() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": UP,
        "content": [{"type": "text", "text": ANSWER}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
    }


def _delta(text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def _event(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


_TOO_MUCH = {"type": "overloaded_error", "message": "Overloaded"}
OVERLOADED = _whole("529 Overloaded", {"type": "error", "error": _TOO_MUCH})
MESSAGE = _whole("200 OK", _message())
STREAM = _streamed()


async def serve() -> None:
    """Serve until standard input ends; say where."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def contest(name: str, base: str, folder: str) -> None:
    """Make the calls of each load that standard input asks for, and say what they came to."""
    work = CONTESTANTS[name].make(base, Path(folder))
    print("ready", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(asdict(await measure(work, Load(**json.loads(line))))), flush=True)
    os._exit(0)  # connections that are still open would each say so


async def measure(work: Work, load: Load) -> Measured:
    gc.collect()
    before = time.process_time()
    await work(load)
    await asyncio.sleep(SETTLING)
    cpu = time.process_time() - before
    gc.collect()
    return Measured(cpu / (load.calls * load.runs) * 1000, _peak(), _resident())


def _peak() -> float:
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _resident() -> float:
    """Give the MB that the process keeps in memory; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 / 1024**2 if status.exists() else 0


class Child:
    """An interpreter that is asked line by line."""

    def __init__(self, *arguments: str) -> None:
        quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments],
            env={**os.environ, **quiet},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> str:
        """Wait until it has begun; give what it says then."""
        return self._read()

    def measure(self, load: Load) -> Measured:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()
        return Measured(**json.loads(self._read()))

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"it ended with {self._process.wait()}: {self._process.args!r}")
        return line.strip()


@frozen
class Ring:
    """The contestants that take turns, and what they came to, column by column."""

    children: Mapping[str, Child]
    measured: dict[tuple[str, str], list[Measured]] = field(factory=dict)

    def warm_up(self, columns: Mapping[str, Load]) -> None:
        for name, child in self.children.items():
            for load in self._wanted(name, columns).values():
                child.measure(evolve(load, calls=max(10, load.calls // 5)))

    def round(self, columns: Mapping[str, Load]) -> None:
        for column, load in columns.items():
            for name, child in self.children.items():
                if column in self._wanted(name, columns):
                    self.measured.setdefault((name, column), []).append(child.measure(load))

    def cell(self, name: str, column: str) -> str:
        mine = self.measured.get((name, column), [])
        if not mine:
            return ""
        theirs = self.measured.get(("litellm", column), mine)
        pairs = zip(mine, theirs, strict=True)
        ratio = statistics.median(one.cpu / other.cpu for one, other in pairs)
        return f"{statistics.median(one.cpu for one in mine):.2f} ({ratio:.2f})"

    def peak(self, name: str) -> float:
        """Give the most memory that a contestant has had, in MB."""
        return max(
            each.peak for (who, _), all_ in self.measured.items() for each in all_ if who == name
        )

    def _wanted(self, name: str, columns: Mapping[str, Load]) -> Mapping[str, Load]:
        who = CONTESTANTS[name]
        return {
            column: load
            for column, load in columns.items()
            if (who.streams or not load.stream) and (who.fails_over or not load.failing)
        }


def table(
    names: list[str], base: str, folder: Path, columns: Mapping[str, Load], rounds: int
) -> Iterator[str]:
    installed = [name for name in names if _installed(CONTESTANTS[name].package)]
    ring = Ring({name: Child("contest", name, base, _own(folder)) for name in installed})
    for child in ring.children.values():
        child.ready()
    ring.warm_up(columns)
    for _ in range(rounds):
        ring.round(columns)
    yield f"| CPU ms per call | {' | '.join(columns)} | peak MB |"
    yield "|---|" + "--:|" * (len(columns) + 1)
    for name in names:
        if name in installed:
            cells = [*(ring.cell(name, column) for column in columns), f"{ring.peak(name):.0f}"]
            yield f"| {name} | {' | '.join(cells)} |"
        else:
            yield f"| {name} | not installed |{' |' * len(columns)}"
    for child in ring.children.values():
        child.close()


def scale(base: str, folder: Path) -> Iterator[str]:
    """Give what a call costs among many, and what memory many runs leave."""
    few = Load(100, AT_ONCE)
    names = ("rolecall, a run", "rolecall, `LLM.acall`", "rolecall, a run")
    run, llm, small = (Child("contest", name, base, _own(folder)) for name in names)
    for child in (run, llm, small):
        child.ready()
    run.measure(few)
    one = [run.measure(few).cpu for _ in range(5)]
    cpu = run.measure(evolve(few, calls=TEAM)).cpu
    ratio = cpu / statistics.median(one)
    yield f"a team of {TEAM} agents: {cpu:.2f} ms of CPU a call, {ratio:.2f} of a team of 100's"
    run.close()
    llm.measure(few)
    one = [llm.measure(few).cpu for _ in range(5)]
    cpu = llm.measure(Load(QUEUE, QUEUE)).cpu
    ratio = cpu / statistics.median(one)
    yield f"{QUEUE} calls queued: {cpu:.2f} ms of CPU a call, {ratio:.2f} of 100 calls'"
    llm.close()
    small.measure(Load(2, 2, runs=5))
    first = small.measure(Load(2, 2, runs=RUNS // 10))
    last = small.measure(Load(2, 2, runs=RUNS - RUNS // 10))
    yield (
        f"memory after {RUNS // 10} runs of two agents {first.resident:.0f} MB, "
        f"after {RUNS} {last.resident:.0f} MB; {first.cpu:.2f} and {last.cpu:.2f} ms a call"
    )
    small.close()


def _own(folder: Path) -> str:
    own = folder / f"{len(list(folder.iterdir()))}"
    own.mkdir()
    return str(own)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="fewer calls, each contestant once, and no scale"
    )
    parser.add_argument("--only", action="append", choices=CONTESTANTS, metavar="CONTESTANT")
    options = parser.parse_args()
    server = Child("serve")
    base = server.ready()
    columns, rounds = COLUMNS, 3
    if options.quick:
        columns = {name: evolve(load, calls=load.calls // 4) for name, load in COLUMNS.items()}
        rounds = 1
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # a disk rather than memory
        names = options.only or list(CONTESTANTS)
        for line in table(names, base, Path(name), columns, rounds):
            print(line, flush=True)
        if not options.quick:
            print()
            for line in scale(base, Path(name)):
                print(line, flush=True)
    server.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(serve())
        case ["contest", name, base, folder]:
            asyncio.run(contest(name, base, folder))
        case _:
            main()
