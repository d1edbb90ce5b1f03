"""Write a cassette to a file, unless it would hold a secret."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from errno import EISDIR
from pathlib import Path
from typing import Any

from attrs import asdict

from .. import serializer
from ..errors import CassetteError, SecretFound
from ..interactions import CassetteMetadata, Interaction, leaves, texts_of
from ..redaction import Redaction


def save(
    path: Path,
    metadata: CassetteMetadata,
    interactions: Iterable[Interaction],
    redaction: Redaction,
) -> None:
    """Write a cassette, in an order that does not depend on who was faster; never a secret."""
    agents = list(metadata.team)
    places = {name: place for place, name in enumerate(agents)}
    ordered = sorted(
        interactions,
        key=lambda interaction: (
            places.get(interaction.agent, len(places)),
            interaction.agent,
            interaction.position,
        ),
    )
    header = {name: value for name, value in asdict(metadata).items() if value}
    header = redaction.value(json.loads(json.dumps(header)))
    _refuse_secrets(path, header, ordered, redaction)
    written = [_as_written(interaction) for interaction in ordered]
    text = serializer.serialize({"version": 1, "metadata": header, "interactions": written})
    if redaction.finds(text):
        raise SecretFound(f"{path} is not saved: it would hold a secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, "utf-8", newline="\n")
    partial.replace(path)


def check_writable(path: Path) -> None:
    """Raise CassetteError, before anything is spent, where a cassette could not be saved."""
    partial = path.with_name(f"{path.name}.part")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text("", "utf-8")
        partial.unlink()
    except OSError as error:
        raise CassetteError(f"{path}: cannot be written: {error.strerror}") from error


def _as_written(interaction: Interaction) -> dict[str, Any]:
    about = {
        "agent": interaction.agent,
        "route": interaction.route,
        "seconds": round(interaction.seconds, 1),
    }
    present = {name: value for name, value in about.items() if value}
    return {**present, "request": interaction.request, "response": interaction.response}


def _refuse_secrets(
    path: Path,
    header: Mapping[str, Any],
    interactions: Sequence[Interaction],
    redaction: Redaction,
) -> None:
    counted: Counter[str] = Counter()
    places = [("its header", [leaf for _, leaf in leaves(header)])]
    for interaction in interactions:
        counted[interaction.agent] += 1
        by_agent = f" of {interaction.agent}" if interaction.agent else ""
        who = f"of exchange {counted[interaction.agent]}{by_agent}"
        request, response = interaction.request, interaction.response
        reply = (response.get("body") or {}).get("string")
        places += [
            (f"the address {who}", [request["uri"]]),
            (f"the request's headers {who}", [leaf for _, leaf in leaves(request["headers"])]),
            (f"the request's body {who}", _all(request["body"])),
            (f"the reply's headers {who}", [leaf for _, leaf in leaves(response["headers"])]),
            (f"the reply's body {who}", _all(reply)),
        ]
    for where, texts in places:
        if any(redaction.finds(text) for text in texts):
            raise SecretFound(
                f"{path} is not saved: {where} holds a secret that could not be masked; "
                "what asked for it must not send it, or the reply must not repeat it"
            )


def _all(body: object) -> list[str]:
    whole = body.decode("latin-1") if isinstance(body, bytes) else str(body or "")
    try:
        inner = [leaf for _, leaf in leaves(json.loads(whole))]
    except ValueError:
        inner = []
    return [whole, *inner, *texts_of(body)]
