"""Every error rolecall raises on purpose, in one tree.

::

    RolecallError                 rolecall can explain it in one line          exit 1
    ├── UsageError                asked for or configured wrongly              exit 2
    │   ├── SettingsError         a setting is unknown, of the wrong type or value
    │   ├── PluginError           a plugin does not load, or breaks a hook's contract
    │   └── TeamError             the team's graph cannot run
    ├── RunError                  the run's folder cannot be used              exit 1
    │   ├── RunBusy               another process is writing it
    │   ├── UntrustedRun          somebody else may have prepared it         exit 5
    │   └── JournalCorrupt        a record in the middle of the journal is damaged
    ├── BudgetReached             the next call might cost more than is left   exit 3
    ├── ProviderError             one call failed, for one cause
    └── CallFailed                an agent got no answer, and its action was to stop
        └── AllRoutesFailed       … and no route is left                       exit 4

A message names the culprit and the next step; it never holds a key.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .usage import Usage


class RolecallError(Exception):
    """Base of the tree; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(RolecallError):
    """Something was asked for or configured wrongly; nothing was spent."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is unknown, or of the wrong type or value."""


class PluginError(UsageError):
    """A plugin does not load, or breaks a hook's contract."""


class TeamError(UsageError):
    """The team's graph cannot run."""


class RunError(RolecallError):
    """A run's folder cannot be used."""


class RunBusy(RunError):
    """Another process is writing the run's folder."""


class UntrustedRun(RunError):
    """A run's folder may come from somebody else, and nobody said that it is to be trusted."""

    exit_code = 5

    def __init__(self, run: str, doubt: str) -> None:
        self.run = run
        self.doubt = doubt
        super().__init__(
            f"{run} {doubt}. Look at it: its edits, answers and settings would count as your word. "
            f"To go on with it: --trust (in a program trust=True), or rolecall runs trust {run}"
        )


class JournalCorrupt(RunError):
    """A record in the middle of the journal is damaged."""


class BudgetReached(RolecallError):
    """The next call might cost more than the run's budget has left.

    enough: the budget in US dollars that would have let the call be made.
    """

    exit_code = 3

    def __init__(self, message: str, enough: float = 0.0) -> None:
        super().__init__(message)
        self.enough = enough


class ProviderError(RolecallError):
    """One call failed; providers raise it, the dispatcher acts on it.

    cause: a word of `rolecall.Cause`.
    retry_after: seconds the vendor asks to wait, or None where it says nothing.
    retryable: False where the vendor says that asking again is no use.
    status: the HTTP status, or None where no answer came.
    headers: the reply's rate-limit headers, lower-case names.
    limits: what it named as the limits per minute: family (requests, tokens, input-tokens,
        output-tokens) to amount.
    usage: the tokens that it told before it failed; the call may have used more. None where it told
        none.
    """

    def __init__(
        self,
        cause: str,
        message: str,
        *,
        retry_after: float | None = None,
        retryable: bool = True,
        status: int | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        limits: Mapping[str, float] | None = None,
        usage: "Usage | None" = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        # A time that has passed, or no number at all, says nothing.
        self.retry_after = retry_after if retry_after is not None and retry_after >= 0 else None
        self.retryable = retryable
        self.status = status
        self.request_id = request_id
        self.headers: Mapping[str, str] = dict(headers or {})
        self.limits: Mapping[str, float] = dict(limits or {})
        self.usage = usage


class CallFailed(RolecallError):
    """An agent's step has no answer; `failures` lists (route, error) in the order tried."""

    def __init__(self, agent: str, failures: Sequence[tuple[str, ProviderError]]) -> None:
        self.agent = agent
        self.failures = tuple(failures)
        tried = "; ".join(f"{route}: {error.cause} ({error})" for route, error in self.failures)
        super().__init__(f"{agent}: {self.summary}: {tried or 'it has none'}")

    @property
    def summary(self) -> str:
        return "stopped"


class AllRoutesFailed(CallFailed):
    """An agent's step has no answer, and no route is left to ask."""

    exit_code = 4

    @property
    def summary(self) -> str:
        return "all routes failed"


LIKE = 0.65  # of 1: how much two words must have in common for one to be meant by the other


def nearest(word: str, words: Iterable[str]) -> str:
    """End an error message with the valid word nearest to a wrong one, or with all of them."""
    from difflib import get_close_matches

    known = sorted(words)
    near = get_close_matches(word, known, n=1, cutoff=LIKE)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""
