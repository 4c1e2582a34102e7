"""What a server and its processes say to each other: values of ours, each after its length."""

import pickle
from collections.abc import Iterator
from typing import Any, Final

LENGTH_BYTES: Final = 4


def pack(value: Any) -> bytes:
    """A value as bytes."""
    content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(LENGTH_BYTES, "little") + content


def unpack(content: bytes | bytearray) -> Any:
    """The value that `pack` made bytes of, without the length before them."""
    # Both ends of the pair of sockets are ours, and nobody else has them.
    return pickle.loads(content)  # noqa: S301


class Frames:
    """Makes values again of bytes that come in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """The values that are whole by now."""
        self._held += piece
        at = 0
        while len(self._held) - at >= LENGTH_BYTES:
            begin = at + LENGTH_BYTES
            end = begin + int.from_bytes(self._held[at:begin], "little")
            if len(self._held) < end:
                break
            value = unpack(self._held[begin:end])
            at = end
            yield value
        del self._held[:at]
