"""What a server and its recorder say to each other: values of ours, each after its length."""

import pickle
from collections.abc import Iterator
from typing import Any, Final

_LENGTH_BYTES: Final = 4


def pack(value: Any) -> bytes:
    """A value as bytes."""
    content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(_LENGTH_BYTES, "little") + content


class Frames:
    """Makes values again of bytes that come in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """The values that are whole by now."""
        self._held += piece
        at = 0
        while len(self._held) - at >= _LENGTH_BYTES:
            begin = at + _LENGTH_BYTES
            end = begin + int.from_bytes(self._held[at:begin], "little")
            if len(self._held) < end:
                break
            # Both ends of the pair of sockets are ours, and nobody else has them.
            value = pickle.loads(self._held[begin:end])  # noqa: S301
            at = end
            yield value
        del self._held[:at]
