"""Measures what it costs to remember a call: a journal record, beside writing the same bytes bare.

python bench/journal.py [--records N]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rolecall import CallEnded, Usage
from rolecall.storage.journal import Journal, read

TEXT = "A deliverable of some four thousand tokens, as an agent writes it. " * 240
ENDED = CallEnded(
    at=12.5,
    call=7,
    agent="solution-architect",
    provider="claude",
    model="claude-sonnet-5-5",
    step="0" * 64,
    waited=0.5,
    took=31.0,
    max_output_tokens=16_384,
    text=TEXT,
    usage=Usage(input=16_000, output=4000),
    cost=0.09,
)


def append(folder: Path, records: int) -> tuple[list[float], int]:
    """Append records; give the seconds that each took, and the bytes of one."""
    with Journal(folder / "journal.jsonl") as journal:
        times = [_timed(lambda: journal.append(ENDED)) for _ in range(records)]
    return times, (folder / "journal.jsonl").stat().st_size // records


def bare(folder: Path, records: int, size: int) -> list[float]:
    """Write as many bytes and wait for the disk as often."""
    content = b"x" * size
    with open(folder / "bare", "ab", buffering=0) as file:

        def write() -> None:
            file.write(content)
            os.fsync(file.fileno())

        return [_timed(write) for _ in range(records)]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=300)
    count = parser.parse_args().records
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:  # a disk rather than memory
        folder = Path(name)
        times, size = append(folder, count)
        floor = bare(folder, count, size)
        cpu = time.process_time()
        content = (folder / "journal.jsonl").read_bytes()
        took = _timed(lambda: read(content))
        cpu = time.process_time() - cpu
    median, least = statistics.median(times), statistics.median(floor)
    print("| | ms | of the bare write |")
    print("|---|--:|--:|")
    print(
        f"| a record of {size:,} bytes, on the disk | {median * 1e3:.2f} | {median / least:.2f} |"
    )
    print(f"| the same bytes, written bare | {least * 1e3:.2f} | 1.00 |")
    print(f"| reading it back, checked | {took / count * 1e3:.3f} | {took / count / least:.2f} |")


if __name__ == "__main__":
    main()
