"""Look for secrets in what is about to be written, although it was masked."""

from collections.abc import Iterator

from ..interactions import Interaction
from ..redaction import Redaction
from .bodies import leaves, parse_json, texts_of


def place_of_secret(interaction: Interaction, redaction: Redaction) -> str | None:
    """Return where in an exchange a secret stands, or None."""
    places = _texts_by_place(interaction)
    return next(
        (place for place, texts in places if any(redaction.finds(text) for text in texts)), None
    )


def _texts_by_place(interaction: Interaction) -> Iterator[tuple[str, list[str]]]:
    request, response = interaction.request, interaction.response
    yield "the address", [request["uri"]]
    yield "the request's headers", [leaf for _, leaf in leaves(request["headers"])]
    yield "the request's body", _texts(request["body"])
    yield "the reply's status", [response["status"].get("message") or ""]
    yield "the reply's headers", [leaf for _, leaf in leaves(response["headers"])]
    yield "the reply's body", _texts(interaction.reply)


def _texts(body: object) -> list[str]:
    whole = body.decode("latin-1") if isinstance(body, bytes) else str(body or "")
    return [whole, *(leaf for _, leaf in leaves(parse_json(whole))), *texts_of(body)]
