"""The one error that a wrong scenario raises."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class ScenarioError(ValueError):
    """A scenario is wrong: which word, where it stands, and what would be right."""


def unknown(kind: str, word: str, valid: Iterable[str]) -> ScenarioError:
    """Build the error with the wrong word, the nearest valid one and all valid ones."""
    import difflib

    names = sorted(valid)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ScenarioError(f"unknown {kind} {word!r}; {hint}valid: {', '.join(names) or 'none'}")


@contextmanager
def within(place: str) -> Iterator[None]:
    """Prefix the place to the message of a scenario error raised inside."""
    try:
        yield
    except ScenarioError as error:
        raise ScenarioError(f"{place}: {error}") from None
