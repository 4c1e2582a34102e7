"""The frames between a server and its processes: values of ours, and beside them their large bytes.

A frame is a count of parts, the length of each, and the parts: the pickled value, and the bytes
that are `beside` it. Those are copied neither into the pickle nor out of it. To copy some megabytes
takes as long as to answer many small requests, and nobody is answered meanwhile.
"""

import pickle
from collections.abc import Iterator, Sequence
from typing import Any, Final

BESIDE_BYTES: Final = 65_536
_NUMBER_BYTES: Final = 4

Content = bytes | bytearray | memoryview


def beside(content: Content) -> Content | pickle.PickleBuffer:
    """Return what a value pickles in the place of bytes, so that large ones stand beside it.

    Unpickled they are a memoryview.
    """
    return content if len(content) < BESIDE_BYTES else pickle.PickleBuffer(content)


def to_parts(value: Any) -> list[Content]:
    """Return the pickle of a value, and the bytes beside it."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    return [content, *(buffer.raw() for buffer in buffers)]


def from_parts(parts: Sequence[Content]) -> Any:
    """Return the value of which `to_parts` made parts."""
    # Both ends of the pair of sockets are ours, and nobody else has them.
    return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301


def pack(value: Any) -> list[Content]:
    """Return the frame of a value, as bytes to be sent one after the other."""
    content, *buffers = to_parts(value)
    numbers = [len(buffers) + 1, len(content), *map(len, buffers)]
    head = b"".join(number.to_bytes(_NUMBER_BYTES, "little") for number in numbers)
    return [head + content, *buffers]


class FrameDecoder:
    """A decoder of values from bytes that come in pieces."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._parts: list[Content] = []
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Yield the values that are whole by now."""
        rest = memoryview(piece)
        while True:
            wanted = self._wanted()
            taken = rest[: wanted - len(self._held)]
            # In the place where the part stays: it is copied once.
            self._held += taken
            rest = rest[len(taken) :]
            if len(self._held) < wanted:
                return
            held, self._held = self._held, bytearray()
            if len(self._numbers) < self._head_count():
                self._numbers.append(int.from_bytes(held, "little"))
                continue
            self._parts.append(held)
            if len(self._parts) == self._numbers[0]:
                parts, self._parts, self._numbers = self._parts, [], []
                yield from_parts(parts)

    def _head_count(self) -> int:
        """Return how many numbers the head has, as far as it is known."""
        return 1 + self._numbers[0] if self._numbers else 1

    def _wanted(self) -> int:
        """Return how many bytes the next number or part has."""
        if len(self._numbers) < self._head_count():
            return _NUMBER_BYTES
        return self._numbers[1 + len(self._parts)]
