"""Write a cassette to a file: in place of a cassette alone, all at once, and without a secret."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import serializer
from ..errors import CassetteError, NotSaved, SecretFound
from ..interactions import CassetteMetadata, Interaction
from ..redaction import Redaction
from ..tool_calls.form import call_as_written, verification_as_written
from .bodies import leaves
from .reader import load
from .recording_log import as_written, masked_header
from .safe_files import MAX_BYTES, kind_of, megabytes, write_atomically
from .secret_check import place_of_secret


def check_target(path: Path) -> None:
    """Raise CassetteError where something stands at the path that is no cassette."""
    try:
        kind = kind_of(os.lstat(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise CassetteError(f"{path}: cannot be written: {error.strerror}") from error
    if kind != "a file":
        raise CassetteError(f"{path}: cannot be written: it is {kind}")
    try:
        load(path)
    except CassetteError as error:
        raise CassetteError(
            f"{error}; it is left as it is: record in another file, or remove this one first"
        ) from error


def save(
    path: Path,
    metadata: CassetteMetadata,
    interactions: Iterable[Interaction],
    redaction: Redaction,
) -> None:
    """Write a cassette, in an order that does not depend on who was faster.

    Raises SecretFound rather than write a secret, and NotSaved where it cannot be written.
    """
    ordered = _in_order(metadata, interactions)
    header = _header(metadata, redaction)
    _refuse_secrets(path, header, ordered, redaction)
    acts = _acts(metadata)
    _refuse_secrets_of_tools(path, acts, redaction)
    written = [as_written(interaction) for interaction in ordered]
    whole = {"version": 1, "metadata": header, "interactions": written, **acts}
    text = serializer.serialize(whole)
    if redaction.finds(text):
        raise SecretFound(f"{path} is not saved: it would hold a secret")
    data = text.encode()
    if len(data) > MAX_BYTES:
        raise NotSaved(f"{path} is not saved: it would be larger than {megabytes(MAX_BYTES)}")
    try:
        check_target(path)  # once more: something else may have come there meanwhile
        write_atomically(path, data)
    except CassetteError as error:
        raise NotSaved(f"what was recorded is not saved: {error}") from error
    except OSError as error:
        raise NotSaved(f"what was recorded is not saved: {path}: {error.strerror}") from error


def _in_order(metadata: CassetteMetadata, interactions: Iterable[Interaction]) -> list[Interaction]:
    """Sort by the team's order, and for each agent by the order of asking."""
    places = {name: place for place, name in enumerate(metadata.team)}

    def place(interaction: Interaction) -> tuple[int, str, int]:
        agent = interaction.agent
        return places.get(agent, len(places)), agent, interaction.position

    return sorted(interactions, key=place)


def _header(metadata: CassetteMetadata, redaction: Redaction) -> dict[str, Any]:
    header = masked_header(metadata, redaction)
    header["team"] = {name: _present(agent) for name, agent in header["team"].items()}
    return _present(header)


def _refuse_secrets(
    path: Path, header: object, interactions: Iterable[Interaction], redaction: Redaction
) -> None:
    where = "its header" if any(redaction.finds(leaf) for _, leaf in leaves(header)) else None
    counted: Counter[str] = Counter()
    for interaction in interactions:
        if where is not None:
            break
        counted[interaction.agent] += 1
        if (place := place_of_secret(interaction, redaction)) is not None:
            of_agent = f" of {interaction.agent}" if interaction.agent else ""
            where = f"{place} of exchange {counted[interaction.agent]}{of_agent}"
    if where is not None:
        raise SecretFound(
            f"{path} is not saved: {where} holds a secret that could not be masked; "
            "what asked for it must not send it, or the reply must not repeat it"
        )


def _acts(metadata: CassetteMetadata) -> dict[str, list[dict[str, Any]]]:
    acting = metadata.acting.in_order(list(metadata.team))
    acts = {
        "tool_calls": [call_as_written(call) for call in acting.calls],
        "verifications": [verification_as_written(each) for each in acting.verifications],
    }
    return {name: written for name, written in acts.items() if written}


def _refuse_secrets_of_tools(
    path: Path, acts: Mapping[str, Iterable[Mapping[str, Any]]], redaction: Redaction
) -> None:
    for act in (act for written in acts.values() for act in written):
        contents = (file.get("content") for file in act.get("files", ()) if isinstance(file, dict))
        binary = (content.decode("latin-1") for content in contents if isinstance(content, bytes))
        if any(redaction.finds(text) for text in (*(leaf for _, leaf in leaves(act)), *binary)):
            what = f"the result of {act['tool']}" if "tool" in act else "what was verified"
            raise SecretFound(
                f"{path} is not saved: {what}, of {act['agent']}, holds a secret that could not "
                "be masked"
            )


def _present(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value}
