"""Read a cassette from a file that may come from anywhere."""

from pathlib import Path

from ..errors import CassetteError
from ..interactions import CassetteMetadata, Interaction
from . import recording_log, schema
from .safe_files import read_bytes
from .yaml_loader import load_yaml


def load(path: Path) -> tuple[CassetteMetadata, list[Interaction]]:
    """Read a cassette, also one that vcrpy wrote, or the log of a recording that was cut off."""
    data = read_bytes(path)
    try:
        if recording_log.is_log(data):
            return recording_log.parse(data)
        return schema.build(load_yaml(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise CassetteError(f"{path} is no cassette: it is not UTF-8 text") from error
    except CassetteError as error:
        raise CassetteError(f"{path} is no cassette: {error}") from error
