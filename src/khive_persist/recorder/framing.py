"""The frames between a server and its processes: values of ours, each after its length."""

import pickle
from collections.abc import Iterator
from typing import Any, Final

LENGTH_BYTES: Final = 4


def pack(value: Any) -> bytes:
    """Return a value as bytes, with their length before them."""
    content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(LENGTH_BYTES, "little") + content


def unpack(content: bytes | bytearray) -> Any:
    """Return the value that `pack` made bytes of, without the length before them."""
    # Both ends of the pair of sockets are ours, and nobody else has them.
    return pickle.loads(content)  # noqa: S301


class FrameDecoder:
    """A decoder of values from bytes that come in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Yield the values that are whole by now."""
        self._held += piece
        at = 0
        while len(self._held) - at >= LENGTH_BYTES:
            start = at + LENGTH_BYTES
            end = start + int.from_bytes(self._held[at:start], "little")
            if len(self._held) < end:
                break
            value = unpack(self._held[start:end])
            at = end
            yield value
        del self._held[:at]
