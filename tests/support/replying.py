"""Replies that no server sent."""

from collections.abc import Sequence

from rolecall_plugins.providers.outbound import IncomingReply


def reply_of(
    body: bytes | Sequence[bytes | Exception],
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
) -> IncomingReply:
    """Return a reply whose body comes as these pieces; an exception is raised in its place."""
    pieces = iter([body] if isinstance(body, bytes) else body)

    async def read() -> bytes:
        piece = next(pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def close() -> None:
        pass

    return IncomingReply(status, "", headers, read, close)
