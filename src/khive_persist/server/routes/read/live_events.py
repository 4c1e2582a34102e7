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
from khive_persist.models.hook_event import HookEvent
from khive_persist.project import Project
from khive_persist.server.event_feed import FILES, WITHOUT, Positions
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import may_read
from khive_persist.server.routes.read import cursors, parameters
from khive_persist.server.routes.read.filters import names_session, of_tool, of_type, session_filter
from khive_persist.server.routes.read.listing import pieces
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.records import RecordItem
from khive_persist.server.routes.read.streaming import ClosingStreamingResponse
from khive_persist.store import codec
from khive_persist.store.insertion_cursor import Cursor, Stored, Wish, are_there, ends, following

HEARTBEAT_SECONDS: Final = 15.0
SLOW_SECONDS: Final = 10.0
AT_ONCE: Final = 64
MEDIA_TYPE: Final = "text/event-stream"
_CHUNK_BYTES: Final = 1 << 16
_UNKNOWN: Final = "the events after that id are not known any more"


class _Key(NamedTuple):
    """The key of a wish, the same for all listeners that have it."""

    tool: str | None
    session: str | None
    type: str | None
    is_exact: bool


def operations(
    access: Access, project: Project, readers: ReaderPool, stopping: anyio.Event
) -> list[Operation]:
    """Return what this group answers."""

    async def live(query: ReadRequest) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        resumed = query.request.headers.get("last-event-id")
        positions = None if not resumed else _positions(resumed)
        if query.request.method == "HEAD":
            return Response(headers=headers | {"content-type": MEDIA_TYPE})
        key, wish = await _wish(project, readers, query)
        feed = readers.feed
        if feed.listening >= AT_ONCE:
            raise HTTPError(503, "busy", f"{AT_ONCE} are told of events already")
        # Nothing is awaited between the two, so no more get in.
        feed.join(key, wish)
        content = _stream(access, readers, stopping, query, key, wish, positions)
        return ClosingStreamingResponse(content, headers, MEDIA_TYPE, partial(feed.leave, key))

    return [
        Operation(
            "/v1/live",
            live,
            "Events as they are stored, from now on or after Last-Event-ID, one `hook_event` each."
            " `gap` says that some may be missing, and why.",
            (parameters.TOOL, parameters.SESSION, parameters.TYPE),
            RecordItem,
            media_type=MEDIA_TYPE,
        )
    ]


async def _wish(project: Project, readers: ReaderPool, query: ReadRequest) -> tuple[_Key, Wish]:
    tool, session = query["tool"], query["session"]
    is_exact = session is not None and await names_session(project, readers, session)
    filters = [*of_type(query), *of_tool(query)]
    if session is not None:
        filters.append(session_filter(session, is_exact))
    wish = Wish(tuple(HookEvent.purposes_of(tool)), filters)
    return _Key(tool, session, query["type"], is_exact), wish


async def _stream(
    access: Access,
    readers: ReaderPool,
    stopping: anyio.Event,
    query: ReadRequest,
    key: _Key,
    wish: Wish,
    positions: Positions | None,
) -> AsyncGenerator[bytes, None]:
    feed = readers.feed
    first = feed.count
    losses: int | None = feed.losses
    async with readers.reader(*FILES) as reader:
        last = await ends(reader, FILES)
        is_resumed = positions is not None and await are_there(reader, FILES, positions)
    is_lost = positions is not None and not is_resumed
    positions = positions if positions is not None and is_resumed else last
    # Who is cut off before the first event comes back to here.
    yield b"retry: 2000\nid: %b\n\n" % _id(positions).encode()
    if is_lost:
        yield _gap(_UNKNOWN, last)
    beat = allowed = time.monotonic()
    while not stopping.is_set():
        # Before the look: what is read after it wakes us.
        next_change = feed.next()
        if losses != feed.losses:
            first, losses = feed.count, feed.losses
            async with readers.reader(*FILES) as reader:
                last = await ends(reader, FILES)
                is_there = await are_there(reader, FILES, positions)
            if not is_there:
                positions = last
                yield _gap(_UNKNOWN, positions)
        chunks, end = await _next(readers, key, wish, positions, first)
        for chunk in chunks:
            began = time.monotonic()
            yield chunk
            beat = time.monotonic()
            if beat > began + SLOW_SECONDS:
                # Nothing is held for it: whoever comes back with its last id reads on.
                yield _gap("this client reads too slowly", None)
                return
        is_more, positions = end != positions, end
        if time.monotonic() > allowed + HEARTBEAT_SECONDS:
            if not may_read(access, query.request):
                return
            allowed = time.monotonic()
        if is_more:
            continue
        if time.monotonic() > beat + HEARTBEAT_SECONDS:
            yield b": \nid: %b\n\n" % _id(positions).encode()
            beat = time.monotonic()
            # Now and then it is looked at in any case.
            losses = None
        due = min(allowed, beat) + HEARTBEAT_SECONDS
        with anyio.move_on_after(due - time.monotonic()):
            await next_change.wait()


async def _next(
    readers: ReaderPool, key: _Key, wish: Wish, positions: Positions, first: int
) -> tuple[list[bytes], Positions]:
    """Return the chunks that follow some positions, and the positions after them."""
    feed = readers.feed
    batch = feed.batch(positions, first)
    if batch is not None:
        chunks = batch.chunks(key, _text, _chunks)
        if chunks is not None:
            return chunks, batch.after
    upto = feed.positions if batch is None else batch.after
    if upto is not None and any(
        feed_position.rowid < position.rowid
        for feed_position, position in zip(upto, positions, strict=True)
    ):
        # The feed gets here with its next look.
        return [], positions
    if upto == positions:
        return [], positions
    async with readers.reader(*FILES) as reader:
        rows, end = await following(reader, FILES, positions, [wish], WITHOUT, upto)
    return _chunks([_text(row) for row in rows]), end


def _chunks(texts: Sequence[bytes]) -> list[bytes]:
    return [b"".join(piece) for piece in pieces(texts, len, _CHUNK_BYTES)]


def _text(row: Stored) -> bytes:
    id, content, metadata, created_at, _ = row.row
    at = clock.to_text(clock.from_column(created_at) or clock.unreadable())
    item = RecordItem(id, at, codec.column(content), codec.column(metadata))
    data = codec.dump_lossy(item._asdict())
    return f"id: {_id(row.cursors)}\nevent: hook_event\ndata: {data}\n\n".encode()


def _gap(reason: str, positions: Positions | None) -> bytes:
    id = "" if positions is None else f"id: {_id(positions)}\n"
    return f"{id}event: gap\ndata: {codec.dump({'reason': reason})}\n\n".encode()


def _id(positions: Sequence[Cursor]) -> str:
    return cursors.to_text([number for cursor in positions for number in cursor])


def _positions(id: str) -> Positions:
    numbers = cursors.from_text(id, *([int] * 2 * len(FILES)))
    return tuple(Cursor(*numbers[at : at + 2]) for at in range(0, len(numbers), 2))
