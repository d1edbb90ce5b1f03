"""Errors of cassettes."""

from collections.abc import Sequence

from rolecall import RolecallError, UsageError


class CassetteError(UsageError):
    """A cassette is not there, or cannot be read."""


class Miss(RolecallError):
    """A request is not in the cassette; no failure of the vendor, so nothing is asked again.

    difference: lines that compare it with the nearest recorded request.
    """

    def __init__(self, message: str, difference: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.difference = tuple(difference)

    def __str__(self) -> str:
        return str(self.args[0])


class NotSaved(RolecallError):
    """What was recorded could not be written."""


class SecretFound(NotSaved):
    """A cassette would hold a secret, and is not saved."""
