"""The tokens of a call."""

from attrs import frozen


@frozen
class Usage:
    """Tokens of one call.

    input: the whole prompt, cached parts included.
    output: everything generated, thinking included.
    thinking: the part of `output` that was thought and not shown.
    cache_read, cache_write: the parts of `input` taken from or put into the vendor's cache.
    """

    input: int = 0
    output: int = 0
    thinking: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.thinking + other.thinking,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )
