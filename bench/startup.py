"""Measures what a command costs before it does anything, and how soon the first call is sent.

python bench/startup.py [--rounds N]

Commands are compared by their CPU time, the first call by the time until it arrives at a server on
this machine; medians of rounds in which each takes its turn.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

BIN = Path(sys.executable).parent
UNIT = 'python -c "import click"'
# Else litellm fetches price maps over the network.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True"}
# What is known of each plugin before it is imported, in both ways; see plugin/entry_points.py.
OURS = """
from rolecall.plugin.entry_points import installed
[(each.name, each.value, each.distribution) for each in installed()]
"""
STANDARD = """
from importlib.metadata import entry_points
for each in entry_points(group="rolecall"):
    (each.name, each.value, each.dist.metadata["Name"], each.dist.version, each.dist.requires)
"""
BARE = """
import asyncio, os, litellm
asyncio.run(litellm.acompletion(
    model="anthropic/claude-sonnet-5-5", messages=[{"role": "user", "content": "Go"}],
    api_key="none", api_base=os.environ["ANTHROPIC_API_BASE"], max_retries=0,
))
"""
AGENT = "project-orchestrator"  # one that runs on Claude


def commands() -> dict[str, Sequence[str]]:
    """Name what is compared; a program that is not installed is left out."""
    python = sys.executable
    named = {
        "python -c pass": [python, "-c", "pass"],
        UNIT: [python, "-c", "import click"],
        "rolecall --help": ["rolecall", "--help"],
        "rolecall agents": ["rolecall", "agents"],
        "rolecall runs list": ["rolecall", "runs", "list"],
        "plugins found by ours": [python, "-c", f"import click\n{OURS}"],
        "plugins found by importlib.metadata": [python, "-c", f"import click\n{STANDARD}"],
        "llm --help": ["llm", "--help"],
        "crewai --help": ["crewai", "--help"],
        'python -c "import litellm"': [python, "-c", "import litellm"],
    }
    found = {}
    for name, (program, *rest) in named.items():
        path = shutil.which(program, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
        if path is None:
            print(f"{program} is not installed and left out")
        else:
            found[name] = [path, *rest]
    return found


def cpu(command: Sequence[str], folder: Path) -> float:
    """Give the seconds of CPU that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(command, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall(command: Sequence[str], folder: Path) -> float:
    began = time.perf_counter()
    _run(command, folder)
    return time.perf_counter() - began


def until_first_call(command: Sequence[str], folder: Path) -> float:
    """Give the seconds until a command's first request arrives."""
    arrived = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.set()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    own = {"ANTHROPIC_API_BASE": base, "ANTHROPIC_API_KEY": "none"}
    quiet = subprocess.DEVNULL
    began = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=folder, env=_environment(folder, own), stdout=quiet, stderr=quiet
    )
    try:
        if not arrived.wait(60):
            raise TimeoutError(f"{command[0]} made no call")
        return time.perf_counter() - began
    finally:
        child.kill()
        child.wait()
        server.shutdown()
        server.server_close()


def _run(command: Sequence[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, check=True)


def _environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    return {"PATH": os.environ["PATH"], **home, **QUIET, **(more or {})}


def medians(measured: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Measure each in turn, after a first round that only warms the disk's cache."""
    taken: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds + 1):
        for name, measure in measured.items():
            taken[name].append(measure())
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = medians(
            {
                name: lambda command=command: cpu(command, folder)  # type: ignore[misc]
                for name, command in commands().items()
            },
            rounds,
        )
        print("\n| | CPU ms | of importing click |\n|---|--:|--:|")
        for name, seconds in started.items():
            print(f"| `{name}` | {seconds * 1e3:.0f} | {seconds / started[UNIT]:.2f} |")
        run = [str(BIN / "rolecall"), "run", "Go", "--only", AGENT]
        first = medians(
            {
                "import litellm": lambda: wall([sys.executable, "-c", "import litellm"], folder),
                "bare litellm's first call": lambda: until_first_call(
                    [sys.executable, "-c", BARE], folder
                ),
                "rolecall run's first call": lambda: until_first_call(run, folder),
            },
            max(3, rounds // 2),
        )
    least = first["import litellm"]
    print("\n| | s | after litellm's import |\n|---|--:|--:|")
    for name, seconds in first.items():
        print(f"| {name} | {seconds:.2f} | {seconds - least:+.2f} |")


if __name__ == "__main__":
    main()
