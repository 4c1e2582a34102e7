"""`GET /v1/live`: the events of the tools as they are stored, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final, NamedTuple

import anyio
from starlette.responses import Response

from khive_persist import clock
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.server.context import Serving
from khive_persist.server.event_feed import FILES, WITHOUT, Stands
from khive_persist.server.http.errors import Refused
from khive_persist.server.request.auth import authorise
from khive_persist.server.routes.read import cursors
from khive_persist.server.routes.read import parameters as given
from khive_persist.server.routes.read.filters import names_session, of_type, session_filter
from khive_persist.server.routes.read.operations import Asked, Operation
from khive_persist.server.routes.read.schemas import EVENT
from khive_persist.server.routes.read.streaming import Streamed
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.insertion_cursor import Stand, Stored, Wish, are_there, ends, following

HEARTBEAT_SECONDS: Final = 15.0
SLOW_SECONDS: Final = 10.0
AT_ONCE: Final = 64
MEDIA_TYPE: Final = "text/event-stream"
_CHUNK_BYTES: Final = 1 << 16
_UNKNOWN: Final = "the events after that id are not known any more"


class _Key(NamedTuple):
    """What all who have the same wish have asked for."""

    tool: str | None
    session: str | None
    type: str | None
    is_exact: bool


def operations(serving: Serving) -> list[Operation]:
    """Return what this group answers."""

    async def live(asked: Asked) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        resumed = asked.request.headers.get("last-event-id")
        stands = None if not resumed else _stands(resumed)
        if asked.request.method == "HEAD":
            return Response(headers=headers | {"content-type": MEDIA_TYPE})
        key, wish = await _wish(serving, asked)
        feed = serving.reading.feed
        if feed.listening >= AT_ONCE:
            raise Refused(503, "busy", f"{AT_ONCE} are told of events already")
        # Nothing is awaited between the two, so no more get in.
        feed.join(key, wish)
        content = _told(serving, asked, key, wish, stands)
        return Streamed(content, headers, MEDIA_TYPE, partial(feed.leave, key))

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


async def _wish(serving: Serving, asked: Asked) -> tuple[_Key, Wish]:
    tool, session = asked["tool"], asked["session"]
    is_exact = session is not None and await names_session(serving, session)
    filters = of_type(asked)
    if session is not None:
        filters.append(session_filter(session, is_exact))
    wish = Wish(FILES if tool is None else (HOOK_EVENTS[tool],), filters)
    return _Key(tool, session, asked["type"], is_exact), wish


async def _told(
    serving: Serving, asked: Asked, key: _Key, wish: Wish, stands: Stands | None
) -> AsyncGenerator[bytes, None]:
    feed = serving.reading.feed
    first = feed.count
    losses: int | None = feed.losses
    async with serving.reading.reader(*FILES) as reader:
        last = await ends(reader, FILES)
        is_resumed = stands is not None and await are_there(reader, FILES, stands)
    is_lost = stands is not None and not is_resumed
    stands = stands if stands is not None and is_resumed else last
    # Who is cut off before the first event comes back to here.
    yield b"retry: 2000\nid: %b\n\n" % _id(stands).encode()
    if is_lost:
        yield _gap(_UNKNOWN, last)
    beat = allowed = time.monotonic()
    while not serving.stopping.is_set():
        # Before the look: what is read after it wakes us.
        changed = feed.next()
        if losses != feed.losses:
            first, losses = feed.count, feed.losses
            async with serving.reading.reader(*FILES) as reader:
                last = await ends(reader, FILES)
                is_there = await are_there(reader, FILES, stands)
            if not is_there:
                stands = last
                yield _gap(_UNKNOWN, stands)
        chunks, after = await _next(serving, key, wish, stands, first)
        for chunk in chunks:
            began = time.monotonic()
            yield chunk
            beat = time.monotonic()
            if beat > began + SLOW_SECONDS:
                # Nothing is held for it: whoever comes back with its last id reads on.
                yield _gap("this client reads too slowly", None)
                return
        is_more, stands = after != stands, after
        if time.monotonic() > allowed + HEARTBEAT_SECONDS:
            if not _may_read(serving, asked):
                return
            allowed = time.monotonic()
        if is_more:
            continue
        if time.monotonic() > beat + HEARTBEAT_SECONDS:
            yield b": \nid: %b\n\n" % _id(stands).encode()
            beat = time.monotonic()
            # Now and then it is looked at in any case.
            losses = None
        due = min(allowed, beat) + HEARTBEAT_SECONDS
        with anyio.move_on_after(due - time.monotonic()):
            await changed.wait()


async def _next(
    serving: Serving, key: _Key, wish: Wish, stands: Stands, first: int
) -> tuple[list[bytes], Stands]:
    """Return what follows a place, and the place after it."""
    feed = serving.reading.feed
    batch = feed.batch(stands, first)
    if batch is not None:
        chunks = batch.chunks(key, _text, _chunks)
        if chunks is not None:
            return chunks, batch.after
    upto = feed.stands if batch is None else batch.after
    if upto is not None and any(
        one.rowid < own.rowid for one, own in zip(upto, stands, strict=True)
    ):
        # The feed gets here with its next look.
        return [], stands
    if upto == stands:
        return [], stands
    async with serving.reading.reader(*FILES) as reader:
        stored, after = await following(reader, FILES, stands, [wish], WITHOUT, upto)
    return _chunks([_text(one) for one in stored]), after


def _may_read(serving: Serving, asked: Asked) -> bool:
    """Return whether the token was not revoked meanwhile."""
    try:
        authorise(serving, asked.request, "read")
    except Refused:
        return False
    return True


def _chunks(texts: Sequence[bytes]) -> list[bytes]:
    chunks: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size > _CHUNK_BYTES:
            chunks.append(b"".join(some))
            some, size = [], 0
    if some:
        chunks.append(b"".join(some))
    return chunks


def _text(stored: Stored) -> bytes:
    data = _data(stored.row)
    return f"id: {_id(stored.stands)}\nevent: hook_event\ndata: {data}\n\n".encode()


def _data(row: StoredRow) -> str:
    id, content, metadata, created_at, _ = row
    item = {
        "id": id,
        "created_at": clock.to_text(clock.from_column(created_at) or clock.unreadable()),
        "content": codec.column(content),
        "node_metadata": codec.column(metadata),
    }
    return codec.dump_lossy(item)


def _gap(reason: str, stands: Stands | None) -> bytes:
    id = "" if stands is None else f"id: {_id(stands)}\n"
    return f"{id}event: gap\ndata: {codec.dump({'reason': reason})}\n\n".encode()


def _id(stands: Sequence[Stand]) -> str:
    return cursors.to_text([number for stand in stands for number in stand])


def _stands(id: str) -> Stands:
    numbers = cursors.from_text(id, *([int] * 2 * len(FILES)))
    return tuple(Stand(*numbers[at : at + 2]) for at in range(0, len(numbers), 2))
