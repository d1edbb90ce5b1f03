"""The limiters that `pacing.py` compares: how each is made and asked."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from attrs import frozen

Acquire = Callable[[], Awaitable[None]]


@frozen
class Peer:
    """A limiter that can be installed.

    make: for each kind of row that the limiter claims to hold over, what creates the awaitable
    that a call starts after; given the interval in seconds, and a folder. wire: the same, where
    each call then sends a request; by default as `make`.
    whole: what creates an awaitable that makes a whole call to an address, request included.
    """

    package: str
    make: Mapping[str, Callable[[float, Path], Acquire]]
    wire: Callable[[float, Path], Acquire] | None = None
    whole: Callable[[float, Path, str], Acquire] | None = None


def rolecall(interval: float, folder: Path) -> Acquire:
    from rolecall import Call, Outcome, Settings
    from rolecall_plugins.ratelimit import rolecall_limiters

    (limiter,) = rolecall_limiters(Settings(interval=interval, state=str(folder)))
    call = Call(number=1, agent="bench", provider="claude", model="m")

    async def acquire() -> None:
        await limiter.acquire(call)
        limiter.ended(call, Outcome())

    return acquire


def rolecall_sending(interval: float, folder: Path) -> Acquire:
    """Ask again right before the request leaves, as our providers do."""
    from rolecall import Call, Outcome, SendLimiter, Settings
    from rolecall_plugins.ratelimit import rolecall_limiters

    (limiter,) = rolecall_limiters(Settings(interval=interval, state=str(folder)))
    assert isinstance(limiter, SendLimiter)
    call = Call(number=1, agent="bench", provider="claude", model="m")

    async def acquire() -> None:
        await limiter.acquire(call)
        await limiter.sending(call)
        limiter.ended(call, Outcome())

    return acquire


def rolecall_calls(interval: float, folder: Path, base: str) -> Acquire:
    """Make whole calls, litellm and the connection included."""
    from rolecall import LLM, ProviderSettings, Settings

    settings = Settings(
        interval=interval,
        providers={"claude": ProviderSettings(api_base=base)},
        stream=False,
        state=str(folder),
        quiet=True,
    ).with_environment(ANTHROPIC_API_KEY="sk-ant-bench")
    llm = LLM("claude", settings=settings)

    async def call() -> None:
        assert await llm.acall("Is this a bench?") == "yes"

    return call


def bare(interval: float, folder: Path) -> Acquire:
    """Limit nothing: sleep one's turn out; what the event loop and the machine cost."""
    turns = itertools.count()

    async def acquire() -> None:
        await asyncio.sleep(next(turns) * interval)

    return acquire


def aiolimiter(interval: float, folder: Path) -> Acquire:
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(1, interval)

    async def acquire() -> None:
        await limiter.acquire()

    return acquire


def pyrate(interval: float, folder: Path) -> Acquire:
    from pyrate_limiter import Limiter, Rate

    limiter = Limiter(Rate(1, round(interval * 1000)), buffer_ms=0)

    async def acquire() -> None:
        while not await limiter.try_acquire_async("bench"):
            pass

    return acquire


def pyrate_blocking(interval: float, folder: Path) -> Acquire:
    from pyrate_limiter import Limiter, Rate

    limiter = Limiter(Rate(1, round(interval * 1000)), buffer_ms=0)

    async def acquire() -> None:
        while not limiter.try_acquire("bench"):
            pass

    return acquire


def pyrate_sqlite(interval: float, folder: Path) -> Acquire:
    from pyrate_limiter import Limiter, Rate, SQLiteBucket

    rates = [Rate(1, round(interval * 1000))]
    path = str(folder / "pyrate.sqlite")
    bucket = SQLiteBucket.init_from_file(rates, db_path=path, use_file_lock=True)
    limiter = Limiter(bucket, buffer_ms=0)

    async def acquire() -> None:
        while not await limiter.try_acquire_async("bench"):
            pass

    return acquire


def limits(interval: float, folder: Path) -> Acquire:
    from limits import RateLimitItemPerSecond
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    limiter = MovingWindowRateLimiter(MemoryStorage())
    item = RateLimitItemPerSecond(round(1 / interval))  # its windows are whole seconds

    async def acquire() -> None:
        while not await limiter.hit(item):
            await asyncio.sleep(interval / 10)

    return acquire


def limits_blocking(interval: float, folder: Path) -> Acquire:
    from limits import RateLimitItemPerSecond
    from limits.storage import MemoryStorage
    from limits.strategies import MovingWindowRateLimiter

    limiter = MovingWindowRateLimiter(MemoryStorage())
    item = RateLimitItemPerSecond(round(1 / interval))

    async def acquire() -> None:
        while not limiter.hit(item):
            await asyncio.sleep(interval / 10)

    return acquire


def throttled(interval: float, folder: Path) -> Acquire:
    from throttled.asyncio import Throttled, per_sec

    limiter = Throttled(key="bench", using="gcra", quota=per_sec(round(1 / interval), burst=1))

    async def acquire() -> None:
        while (await limiter.limit(timeout=3600)).limited:
            pass

    return acquire


def throttled_blocking(interval: float, folder: Path) -> Acquire:
    from throttled import Throttled, per_sec

    limiter = Throttled(key="bench", using="gcra", quota=per_sec(round(1 / interval), burst=1))

    async def acquire() -> None:
        while limiter.limit(timeout=3600).limited:
            pass

    return acquire


def langchain(interval: float, folder: Path) -> Acquire:
    from langchain_core.rate_limiters import InMemoryRateLimiter

    limiter = InMemoryRateLimiter(
        requests_per_second=1 / interval, check_every_n_seconds=interval / 10, max_bucket_size=1
    )

    async def acquire() -> None:
        await limiter.aacquire()

    return acquire


PEERS = {
    "rolecall": Peer(
        "rolecall_plugins",
        {"tasks": rolecall, "threads": rolecall, "processes": rolecall},
        wire=rolecall_sending,
    ),
    "rolecall, whole calls": Peer("rolecall_plugins", {}, whole=rolecall_calls),
    "(only sleeps)": Peer("asyncio", {"tasks": bare}),
    "aiolimiter": Peer("aiolimiter", {"tasks": aiolimiter}),
    "pyrate-limiter": Peer(
        "pyrate_limiter",
        {"tasks": pyrate, "threads": pyrate_blocking, "processes": pyrate_sqlite},
    ),
    "limits": Peer("limits", {"tasks": limits, "threads": limits_blocking}),
    "throttled-py": Peer("throttled", {"tasks": throttled, "threads": throttled_blocking}),
    "langchain-core": Peer("langchain_core", {"tasks": langchain, "threads": langchain}),
}
