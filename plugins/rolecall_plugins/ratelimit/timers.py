"""Timers: the event loop's own, or the kernel's, exact to a tenth of a millisecond."""

import asyncio
import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

LATE = 0.00005
LATEST = 0.0004
TICK = 1e-6  # a timer of no time at all would never expire


class Timer(Protocol):
    """Calls back in the event loop that it was made in; set again, it forgets the time before."""

    def set(self, seconds: float, callback: Callable[[], object]) -> None: ...

    def close(self) -> None: ...


class LoopTimer:
    """A timer of the event loop, and so on the loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float, callback: Callable[[], object]) -> None:
        self.close()
        self._handle = self._loop.call_later(seconds, callback)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class KernelTimer:
    """A timer of the kernel in real time, as a file that the event loop watches.

    asyncio on Linux is a millisecond late: it rounds to whole ones, and the kernel takes a
    thousandth of a time-out as slack. A machine takes time to wake up as well, the more the
    longer it was idle; so this is set earlier by as much as it expired late the last time. A
    caller that it wakes too early sets it again.

    Raises OSError or NotImplementedError where there are no such timers.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._callback: Callable[[], object] | None = None
        self._expected = 0.0
        self._late = LATE
        self._fd = _create_timer()
        try:
            self._loop.add_reader(self._fd, self._expired)
        except (OSError, NotImplementedError):
            os.close(self._fd)
            raise

    def set(self, seconds: float, callback: Callable[[], object]) -> None:
        self._callback = callback
        sooner = max(seconds - self._late, TICK)
        self._expected = time.monotonic() + sooner
        _set_timer(self._fd, sooner)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(fd)
            os.close(fd)

    def _expired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it was set anew just now
            return
        self._late = min(0.9 * (time.monotonic() - self._expected), LATEST)
        if self._callback is not None:
            self._callback()


def precise_timer() -> Timer:
    """Create the most precise timer that this system and this event loop allow."""
    if _has_own_time(asyncio.get_running_loop()):
        return LoopTimer()
    try:
        return KernelTimer()
    except (OSError, NotImplementedError):
        return LoopTimer()


def _has_own_time(loop: asyncio.AbstractEventLoop) -> bool:
    """Check whether a loop's time is not the system's: then only its own timers keep to it."""
    return (
        isinstance(loop, asyncio.BaseEventLoop)
        and type(loop).time is not asyncio.BaseEventLoop.time
    )


if sys.platform != "linux":

    def _create_timer() -> int:
        raise OSError("this system has no timers that are files")

    def _set_timer(fd: int, seconds: float) -> None: ...

elif sys.version_info >= (3, 13):

    def _create_timer() -> int:
        return os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

    def _set_timer(fd: int, seconds: float) -> None:
        os.timerfd_settime(fd, initial=seconds)

else:

    def _create_timer() -> int:
        fd = int(_libc().timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if fd < 0:
            raise OSError("the system refuses a timer")
        return fd

    def _set_timer(fd: int, seconds: float) -> None:
        once = struct.pack("@4l", 0, 0, int(seconds), int(seconds % 1 * 1e9))
        _libc().timerfd_settime(fd, 0, once, None)

    @cache
    def _libc() -> Any:
        return ctypes.CDLL(None)
