"""Processes of the command line that need not import for seconds: forks of one that has.

Each is a group of its own, with an environment, a folder and a standard error of its own, as if it
had been started from a shell. Run as a script, this file is that one process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Forking:
    """A process that has imported everything, and starts others."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _ask(self, question: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], errors: Path
    ) -> int:
        """Start `rolecall` with these arguments; return the id of the process and its group."""
        question = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "errors": str(errors),
        }
        pid = self._ask(question)
        assert isinstance(pid, int)
        return pid

    def poll(self, pid: int) -> int | None:
        """Return how a process ended, negative where by a signal; None while it runs.

        A process is polled no more once its end is known.
        """
        code = self._ask({"poll": pid})
        assert code is None or isinstance(code, int)
        return code


@contextmanager
def forking() -> Iterator[Forking]:
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Forking(process)
    finally:
        process.communicate(timeout=30)


def _serve() -> None:
    from rolecall.cli.main import main
    from rolecall_plugins.providers.litellm_import import import_litellm

    import_litellm()
    # What the first call of each vendor imports besides.
    import litellm.llms.anthropic.chat.transformation
    import litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        question = json.loads(line)
        if "poll" in question:
            # Asked once more after its end, it would be another process of the same number.
            waited, status = os.waitpid(question["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if waited else None
            answers.write(json.dumps(answer) + "\n")
        else:
            pid = os.fork()
            if not pid:
                answers.close()
                _become(question)
                main()
            answers.write(f"{pid}\n")
        answers.flush()


def _become(question: Mapping[str, Any]) -> None:
    """Make this process what a shell would have started."""
    os.setsid()
    os.chdir(question["folder"])
    os.environ.clear()
    os.environ.update(question["environment"])
    sys.path[:0] = question["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["rolecall", *question["arguments"]]
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(question["errors"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, nothing), (2, errors)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(errors)


if __name__ == "__main__":
    _serve()
