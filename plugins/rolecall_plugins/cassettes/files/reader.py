"""Read a cassette from a file."""

from pathlib import Path

from .. import serializer
from ..errors import CassetteError
from ..interactions import CassetteMetadata, Interaction


def load(path: Path) -> tuple[CassetteMetadata, list[Interaction]]:
    """Read a cassette; one that vcrpy wrote by itself will do."""
    try:
        cassette = serializer.deserialize(path.read_text("utf-8"))
        interactions = [
            Interaction(
                request=each["request"],
                response=each["response"],
                agent=each.get("agent", ""),
                route=each.get("route", ""),
                seconds=each.get("seconds", 0.0),
                position=position,
            )
            for position, each in enumerate(cassette["interactions"])
        ]
        return CassetteMetadata.parse(cassette.get("metadata") or {}), interactions
    except OSError as error:
        raise CassetteError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CassetteError(f"{path} is no cassette: it is not UTF-8 text") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise CassetteError(f"{path} is no cassette: it does not list interactions") from error
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise CassetteError(f"{path} is no cassette: {type(error).__name__}: {why}") from error
