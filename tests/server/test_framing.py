"""What a server and its processes send each other."""

from typing import Any

import pytest

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.recorder.event_fallback import new_event
from khive_persist.recorder.framing import BESIDE_BYTES, Content, FrameDecoder, pack
from khive_persist.recorder.messages import Payload, Record, RecorderRequest

SIZES = (0, 10, BESIDE_BYTES - 1, BESIDE_BYTES, 3 * BESIDE_BYTES)
EVENT = new_event("codex")


def requests() -> list[RecorderRequest]:
    return [
        RecorderRequest(
            number,
            HOOK_EVENTS["codex"],
            (
                Payload(EVENT, b"x" * size, is_timed=False),
                # A lone surrogate: what a file from elsewhere may have.
                Record(("a", "\ud800" * size, None, "now", None), replaces=True),
            ),
        )
        for number, size in enumerate(SIZES)
    ]


def decoded(frames: list[list[Content]], piece_bytes: int) -> list[Any]:
    stream = b"".join(bytes(part) for frame in frames for part in frame)
    decoder = FrameDecoder()
    pieces = (stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes))
    return [value for piece in pieces for value in decoder.feed(piece)]


def contents(request: RecorderRequest) -> tuple[Any, ...]:
    payload, record = request.incoming
    assert isinstance(payload, Payload)
    assert isinstance(record, Record)
    timed = payload.is_timed, record.is_timed
    return payload.event, bytes(payload.raw), record.all_columns(), timed, record.replaces


@pytest.mark.parametrize("piece_bytes", [1_000, BESIDE_BYTES, 1 << 24])
def test_values_come_out_as_they_went_in_however_they_are_cut(piece_bytes: int) -> None:
    received = decoded([pack(request) for request in requests()], piece_bytes)
    # Once more: the server hands on what another process has made.
    handed_on = decoded([pack(request) for request in received], piece_bytes)
    for values in (received, handed_on):
        assert [*map(contents, values)] == [*map(contents, requests())]


def test_bytes_are_read_one_at_a_time() -> None:
    assert decoded([pack("a"), pack([1])], 1) == ["a", [1]]


def test_large_bytes_are_not_copied() -> None:
    raw = b"x" * BESIDE_BYTES
    _, content = pack([Payload(EVENT, raw)])
    assert isinstance(content, memoryview)
    assert content.obj is raw
    # Nor are those that were received.
    ((payload,),) = decoded([pack([Payload(EVENT, raw)])], 1 << 24)
    _, content = pack([payload])
    assert isinstance(content, memoryview)
    assert content.obj is payload.raw
