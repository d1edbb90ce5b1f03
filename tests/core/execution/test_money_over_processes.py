"""Whatever a vendor replies and whenever a process is killed, no more is spent than is counted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Any

import pytest
from attrs import define, field
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rolecall import Cause
from rolecall.storage.call_log import CallLog
from rolecall.storage.journal import read_records
from rolecall.types.charge import UNBILLED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="kills by signal"),
]
DOLLAR = 1e-6  # of a token, whether read or written
BUDGET = 0.05
PROCESSES = 6
CHILD = f"""
import asyncio
import json
import os
import sys

from rolecall import (
    Agent, Host, Price, ProviderError, Response, RolecallError, Settings, Team, Usage, hookimpl,
)
from rolecall.execution.budget import worst_case

folder, port = sys.argv[1:]


class Vendor:
    name = "one"
    model = "m"

    async def complete(self, request):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        try:
            await request.progress.sending()
            worst = worst_case(request)
            asked = dict(pid=os.getpid(), worst=worst.input + worst.output)
            writer.write(json.dumps(asked).encode() + b"\\n")
            line = await reader.readline()
        finally:
            writer.close()
        if not line:
            raise ProviderError("connection", "the connection was reset")
        reply = json.loads(line)
        request.progress.text(reply["text"])
        usage = None if reply["usage"] is None else Usage(*reply["usage"])
        if reply["cause"]:
            raise ProviderError(reply["cause"], "as told", retry_after=0, usage=usage)
        return Response(reply["text"], usage, cost=reply["cost"])


class Plugin:
    @hookimpl
    def rolecall_providers(self):
        return [Vendor()]


async def main():
    host = Host([])
    host.register("vendor", Plugin())
    names = ("a", "b", "c", "d")
    team = [
        Agent(name, name, "g", f"You are {{name}}.", ("one",), names[:number])
        for number, name in enumerate(names)
    ]
    settings = Settings(
        interval=0, attempts=2, max_output_tokens=5000, budget={BUDGET}, breaker_failures=99,
        quiet=True, prices={{"m": Price(1.0, 1.0)}},
    )
    team = Team(team, settings=settings, host=host)
    again = os.path.exists(folder)
    result = await (team.resume(folder) if again else team.run("Build it.", folder))
    sys.exit(0 if result.ok else 3)


asyncio.run(main())
"""
TOKENS = st.integers(1, 4000)
USAGE = st.tuples(TOKENS, TOKENS)


@st.composite
def replies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a vendor makes of a request; `spends` is what it bills, None being the worst."""
    kind = draw(
        st.sampled_from(
            ["told", "told", "untold", "zero", "absurd cost", "refused", "broken", "late", "killed"]
        )
    )
    reply: dict[str, Any] = {"kind": kind, "text": "text", "usage": None, "cause": None}
    reply |= {"cost": None, "spends": None}
    match kind:
        case "told":
            reply["usage"] = draw(USAGE)
            reply["spends"] = sum(reply["usage"])
        case "zero":
            reply["usage"] = (draw(TOKENS), 0)
        case "absurd cost":
            reply["cost"] = draw(st.sampled_from([-5.0, float("nan"), float("-inf")]))
        case "refused":
            reply |= {"cause": draw(st.sampled_from(sorted(UNBILLED))), "text": "", "spends": 0}
        case "broken":
            causes = sorted({Cause.TIMEOUT, Cause.CONNECTION, Cause.BAD_PAYLOAD})
            reply |= {"cause": draw(st.sampled_from(causes)), "usage": draw(st.none() | USAGE)}
        case "late":  # it had begun to answer
            reply |= {"cause": draw(st.sampled_from(sorted(UNBILLED)))}
            reply |= {"usage": draw(st.none() | st.just((1, 1)))}
    return reply


@define
class Vendor:
    """Answers by a script, and knows what it bills."""

    script: list[dict[str, Any]]
    port: int = 0
    billed: float = 0.0
    asked: int = 0
    lock: Any = field(factory=Lock)

    def answer(self, asked: dict[str, Any]) -> bytes:
        with self.lock:
            reply = self.script[self.asked % len(self.script)]
            self.asked += 1
            spent = asked["worst"] if reply["spends"] is None else reply["spends"]
            self.billed += DOLLAR * spent
        if reply["kind"] == "killed":
            os.kill(asked["pid"], signal.SIGKILL)
            return b""
        return json.dumps(reply).encode() + b"\n"


@contextmanager
def serving(script: list[dict[str, Any]]) -> Iterator[Vendor]:
    vendor = Vendor(script)

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline()
            if line:
                self.wfile.write(vendor.answer(json.loads(line)))

    class Server(ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        vendor.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield vendor
        finally:
            server.shutdown()
            thread.join()


def test_what_was_counted_never_falls_below_what_was_spent_nor_what_was_spent_above_the_budget(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    child = tmp_path_factory.mktemp("child") / "child.py"
    child.write_text(CHILD, "utf-8")

    @settings(max_examples=8, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(replies(), min_size=1, max_size=10))
    def holds(script: list[dict[str, Any]]) -> None:
        folder = tmp_path_factory.mktemp("runs") / "run"
        with serving(script) as vendor:
            for _ in range(PROCESSES):
                ended = subprocess.run(
                    [sys.executable, str(child), str(folder), str(vendor.port)],
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert ended.returncode in (0, 3, -signal.SIGKILL), ended.stderr
                counted = CallLog(read_records(folder)).total.charged
                assert counted >= vendor.billed - 1e-9
                assert vendor.billed <= BUDGET + 1e-9
                if ended.returncode == 0:
                    break

    holds()
