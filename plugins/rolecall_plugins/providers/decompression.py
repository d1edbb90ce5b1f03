"""Decompresses a body as it arrives, in pieces of bounded size however far it expands."""

import zlib
from collections.abc import Iterator

ENCODINGS = "gzip, deflate"
LARGEST_PIECE = 64 * 1024
_EITHER_HEADER = zlib.MAX_WBITS | 32  # zlib's and gzip's are told apart by their first bytes


class Decompressor:
    """Decompresses one body; one in an encoding that was not asked for stays as it came."""

    def __init__(self, encoding: str) -> None:
        name = encoding.lower().rpartition(",")[2].strip()
        self._is_compressed = name in ("gzip", "x-gzip", "deflate")
        self._may_lack_header = name == "deflate"
        self._zlib = zlib.decompressobj(_EITHER_HEADER)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the pieces that the next bytes decompress to; raise zlib.error on damage."""
        if not self._is_compressed:
            yield data
            return
        if self._may_lack_header:
            self._zlib = _matching(data)
            self._may_lack_header = False
        while data:
            if piece := self._zlib.decompress(data, LARGEST_PIECE):
                yield piece
            data = self._zlib.unconsumed_tail


def _matching(data: bytes) -> "zlib._Decompress":
    """Return what decompresses deflate, which some send without zlib's header around it."""
    try:
        zlib.decompressobj().decompress(data, 1)
    except zlib.error:
        return zlib.decompressobj(-zlib.MAX_WBITS)
    return zlib.decompressobj()
