"""A loopback server, in a process of its own, that stamps when requests arrive; and who sends them.

It answers every request at once as Anthropic's API would.
"""

import asyncio
import json
import subprocess
import sys
import time
from typing import Self

REQUEST = b"POST / HTTP/1.1\r\nhost: bench\r\ncontent-length: 2\r\n\r\n{}"
ANSWER = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "yes"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 25, "output_tokens": 1},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


class Arrivals:
    """The server, while it runs; `stop` returns when requests arrived."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.base = self._process.stdout.readline().strip()
        return self

    def stop(self) -> list[float]:
        out, _ = self._process.communicate()
        times: list[float] = json.loads(out)
        return times

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Sender:
    """Connections that are open before anyone asks, each for one request of prepared bytes."""

    def __init__(self, writers: list[asyncio.StreamWriter]) -> None:
        self._writers = writers
        self._unused = iter(writers)

    @classmethod
    async def connect(cls, base: str, requests: int) -> "Sender":
        port = int(base.rpartition(":")[2])
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(requests)]
        return cls([writer for _, writer in opened])

    def send(self) -> None:
        next(self._unused).write(REQUEST)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


class _Connection(asyncio.Protocol):
    def __init__(self, times: list[float]) -> None:
        self._times = times
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self._times.append(time.monotonic())
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length or b"0"):
            self._received = b""
            self._transport.write(REPLY % (len(ANSWER), ANSWER))


async def _serve() -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(times), "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    print(json.dumps(times))


if __name__ == "__main__":
    asyncio.run(_serve())
