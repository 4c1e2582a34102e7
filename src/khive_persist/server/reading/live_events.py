"""`GET /v1/live`: the events of the tools as they are stored, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache
from typing import Final

import anyio
from starlette.responses import Response

from khive_persist import clock
from khive_persist.purposes import HOOK_EVENTS
from khive_persist.server.access import authorise
from khive_persist.server.errors import Refused
from khive_persist.server.reading import cursors
from khive_persist.server.reading import parameters as given
from khive_persist.server.reading.filters import of_session, of_type
from khive_persist.server.reading.operations import Asked, Operation
from khive_persist.server.reading.schemas import EVENT
from khive_persist.server.reading.streaming import Streamed
from khive_persist.server.serving import Serving
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sequence import Stand, are_there, ends, following

HEARTBEAT_SECONDS: Final = 15.0
SLOW_SECONDS: Final = 10.0
AT_ONCE: Final = 64
MEDIA_TYPE: Final = "text/event-stream"
_CHUNK_CHARACTERS: Final = 1 << 16
# Those of the last commits, which everybody who listens reads one after the other.
_TEXTS_KEPT: Final = 256
_SHORT_CHARACTERS: Final = 1 << 14
_FILES: Final = tuple(HOOK_EVENTS.values())


def operations(serving: Serving) -> list[Operation]:
    """What this group answers."""

    async def live(asked: Asked) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        resumed = asked.request.headers.get("last-event-id")
        stands = None if not resumed else _stands(resumed)
        if asked.request.method == "HEAD":
            return Response(headers=headers | {"content-type": MEDIA_TYPE})
        if serving.reading.pulse.waiting >= AT_ONCE:
            raise Refused(503, "busy", f"{AT_ONCE} are told of events already")
        content = _told(serving, asked, stands)
        return Streamed(content, headers, MEDIA_TYPE)

    return [
        Operation(
            "/v1/live",
            live,
            "Events as they are stored, from now on or after Last-Event-ID, one `hook_event` each."
            " `gap` says that some may be missing, and why.",
            (given.TOOL, given.SESSION, given.TYPE),
            EVENT,
            media_type=MEDIA_TYPE,
        )
    ]


async def _told(
    serving: Serving, asked: Asked, stands: tuple[Stand, ...] | None
) -> AsyncGenerator[bytes, None]:
    reading = serving.reading
    wanted = _FILES if asked["tool"] is None else (HOOK_EVENTS[asked["tool"]],)
    filters = of_type(asked)
    filters += await of_session(serving, asked)
    with reading.pulse as pulse:
        async with reading.reader(*_FILES) as reader:
            last = await ends(reader, _FILES)
            is_resumed = stands is not None and await are_there(reader, _FILES, stands)
        yield b"retry: 2000\n\n"
        if stands is not None and not is_resumed:
            yield _gap("the events after that id are not known any more", last)
        stands = stands if stands is not None and is_resumed else last
        beat = time.monotonic()
        while not serving.stopping.is_set():
            # Before the look: what is written after it wakes us.
            changed = pulse.next()
            async with reading.reader(*_FILES) as reader:
                stored, after = await following(reader, _FILES, stands, wanted, filters, "payload")
            for chunk in _chunks([(one.stands, one.row) for one in stored]):
                began = time.monotonic()
                yield chunk
                beat = time.monotonic()
                if beat > began + SLOW_SECONDS:
                    # Nothing is held for it: whoever comes back with its last id reads on.
                    yield _gap("this client reads too slowly", None)
                    return
            is_more, stands = after != stands, after
            if is_more:
                continue
            with anyio.move_on_after(beat + HEARTBEAT_SECONDS - time.monotonic()) as scope:
                await changed.wait()
            if scope.cancelled_caught or time.monotonic() > beat + HEARTBEAT_SECONDS:
                if not _may_read(serving, asked):
                    return
                yield b": \nid: %b\n\n" % _id(stands).encode()
                beat = time.monotonic()


def _may_read(serving: Serving, asked: Asked) -> bool:
    """Whether the token was not revoked meanwhile."""
    try:
        authorise(serving, asked.request, "read")
    except Refused:
        return False
    return True


def _chunks(stored: Sequence[tuple[tuple[Stand, ...], StoredRow]]) -> list[bytes]:
    chunks, chunk, size = [], [], 0
    for stands, row in stored:
        is_short = len(row[1] or "") + len(row[2] or "") <= _SHORT_CHARACTERS
        data = _data_once(row) if is_short else _data(row)
        text = f"id: {_id(stands)}\nevent: hook_event\ndata: {data}\n\n"
        chunk.append(text)
        size += len(text)
        if size > _CHUNK_CHARACTERS:
            chunks.append("".join(chunk).encode())
            chunk, size = [], 0
    if chunk:
        chunks.append("".join(chunk).encode())
    return chunks


def _data(row: StoredRow) -> str:
    id, content, metadata, created_at, _ = row
    item = {
        "id": id,
        "created_at": clock.to_text(clock.from_column(created_at) or clock.unreadable()),
        "content": codec.column(content),
        "node_metadata": codec.column(metadata),
    }
    return codec.dump_lossy(item)


# All who listen are told of the same rows.
_data_once = lru_cache(_TEXTS_KEPT)(_data)


def _gap(reason: str, stands: tuple[Stand, ...] | None) -> bytes:
    id = "" if stands is None else f"id: {_id(stands)}\n"
    return f"{id}event: gap\ndata: {codec.dump({'reason': reason})}\n\n".encode()


def _id(stands: Sequence[Stand]) -> str:
    return cursors.to_text([number for stand in stands for number in stand])


def _stands(id: str) -> tuple[Stand, ...]:
    numbers = cursors.from_text(id, *([int] * 2 * len(_FILES)))
    return tuple(Stand(*numbers[at : at + 2]) for at in range(0, len(numbers), 2))
