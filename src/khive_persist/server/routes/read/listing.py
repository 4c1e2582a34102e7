"""A list as an answer: a page of JSON, or all of it as CSV, JSON or JSON Lines, in flat memory."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeVar

import anyio.lowlevel
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from khive_persist.server.http.errors import HTTPError
from khive_persist.server.routes.read import cursors
from khive_persist.server.routes.read.parameters import DEFAULT_LIMIT
from khive_persist.server.routes.read.responses import CACHE, answer
from khive_persist.server.routes.read.streaming import ClosingStreamingResponse
from khive_persist.store import codec
from khive_persist.transfer.writing import csv

Item = TypeVar("Item")
Form = Literal["json", "csv", "jsonl"]
Kinds = tuple[type[Any] | tuple[type[Any], ...], ...]

STREAMED_AT_ONCE: Final = 200
# Between pieces of a stream others have their turn. What is larger is made beside them.
_PIECE_BYTES: Final = 65_536
MEDIA_TYPES: Final[dict[Form, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}
_FORMS: Final[dict[str, Form]] = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "text/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
}


class Page(NamedTuple):
    """Some items of a list, and the values of the cursor after them; None at the list's end."""

    items: Sequence[Any]
    next: Sequence[Any] | None


class Listing(NamedTuple):
    """A list that can be read from any cursor on.

    Attributes:
        page: The function that returns the items after a cursor's values, or the first ones; at
            most so many. It may return fewer before the end, to keep within its memory, but never
            none.
        kinds: The types of a cursor's values.
        document: An item as JSON has it.
        columns: The names of the columns of CSV.
        cells: An item's values of these.
        more: Further columns, for who names them, each with the function that returns its value.
        size: The bytes of an item that it takes time to read, about.
        name: The name of a file of it.
    """

    page: Callable[[Sequence[Any] | None, int], Awaitable[Page]]
    kinds: Kinds
    document: Callable[[Any], dict[str, Any]]
    columns: Sequence[str]
    cells: Callable[[Any], Sequence[Any]]
    more: Mapping[str, Callable[[Any], Any]] = {}
    size: Callable[[Any], int] = lambda _: 0
    name: str = "list"

    def with_columns(self, names: Sequence[str]) -> "Listing":
        """Return the list with these columns alone, in this order.

        Raises:
            HTTPError: 400; it has no such column.
        """
        places = {name: place for place, name in enumerate(self.columns)}
        for name in names:
            if name not in places and name not in self.more:
                every = ", ".join((*self.columns, *self.more))
                raise HTTPError(
                    400, "bad_parameter", f"columns has {name[:80]!r}", hint=f"some of {every}"
                )

        def cells(item: Any) -> list[Any]:
            values = self.cells(item)
            return [
                self.more[name](item) if name in self.more else values[places[name]]
                for name in names
            ]

        def document(item: Any) -> dict[str, Any]:
            # As JSON has it, which CSV has as text.
            return dict(zip(names, cells(item), strict=True)) | {
                name: value for name, value in self.document(item).items() if name in names
            }

        return self._replace(document=document, columns=names, cells=cells)


def named_columns(text: str | None) -> list[str]:
    """Return the names of columns in a parameter, each once."""
    return list(dict.fromkeys(text.split(","))) if text else []


async def answer_list(request: Request, listing: Listing, values: Mapping[str, Any]) -> Response:
    """Return a page of a list, or all of it from the cursor on as a file, CSV or JSON Lines."""
    limit, cursor, download = values["limit"], values["cursor"], values["download"]
    if columns := named_columns(values["columns"]):
        listing = listing.with_columns(columns)
    position = None if cursor is None else cursors.from_text(cursor, *listing.kinds)
    form = download or form_of(request)
    if form == "json" and download is None:
        page = await listing.page(position, DEFAULT_LIMIT if limit is None else limit)
        if sum(map(listing.size, page.items)) > _PIECE_BYTES:
            return await anyio.to_thread.run_sync(_answer, request, listing, page)
        return _answer(request, listing, page)
    headers = dict(CACHE)
    if download is not None:
        headers["content-disposition"] = f'attachment; filename="{listing.name}.{form}"'
    if request.method == "HEAD":
        return Response(headers=headers | {"content-type": MEDIA_TYPES[form]})
    # The first page is read before the answer begins, so that what is wrong can still be said.
    first = await listing.page(position, STREAMED_AT_ONCE if limit is None else _least(limit))
    content = _streamed(listing, first, form, limit)
    return ClosingStreamingResponse(content, headers, MEDIA_TYPES[form])


def form_of(request: Request) -> Form:
    """Return what the client likes best of what there is; JSON where it does not say, or knows
    neither.
    """
    best: tuple[float, Form] = (0.0, "json")
    for media_range in ",".join(request.headers.getlist("accept")).split(","):
        name, *parameters = (word.strip().lower() for word in media_range.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if name in _FORMS and weight > best[0]:
            best = weight, _FORMS[name]
    return best[1]


def _answer(request: Request, listing: Listing, page: Page) -> Response:
    items = [listing.document(item) for item in page.items]
    following = None if page.next is None else cursors.to_text(page.next)
    return answer(request, {"items": items, "next": following})


async def _streamed(
    listing: Listing, first: Page, form: Form, limit: int | None
) -> AsyncGenerator[bytes, None]:
    page, remaining = first, limit
    line = partial(_csv_line if form == "csv" else _json_line, listing)
    # One document is what the commands print: lines, with commas between them in an array.
    opening = b"[" if form == "json" else b""
    if form == "csv":
        yield csv.line(listing.columns)
    while True:
        for items in pieces(page.items, listing.size, _PIECE_BYTES):
            if sum(map(listing.size, items)) > _PIECE_BYTES:
                lines = await anyio.to_thread.run_sync(_lines, line, items)
            else:
                lines = _lines(line, items)
            if form == "json":
                lines = opening + b"\n" + lines[:-1].replace(b"\n", b",\n")
                opening = b","
            for start in range(0, len(lines), _PIECE_BYTES):
                yield lines[start : start + _PIECE_BYTES]
                await anyio.lowlevel.checkpoint()
        remaining = None if remaining is None else remaining - len(page.items)
        if page.next is None or remaining == 0:
            if form == "json":
                yield b"\n]\n" if opening == b"," else b"[]\n"
            return
        page = await listing.page(
            page.next, STREAMED_AT_ONCE if remaining is None else _least(remaining)
        )


def pieces(items: Sequence[Item], size: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Yield items in their order, some together, of a bounded size but for one that is larger."""
    piece: list[Item] = []
    held = 0
    for item in items:
        if piece and held + size(item) > most:
            yield piece
            piece, held = [], 0
        piece.append(item)
        held += size(item)
    if piece:
        yield piece


def _lines(line: Callable[[Any], bytes], items: Sequence[Any]) -> bytes:
    return b"".join(map(line, items))


def _csv_line(listing: Listing, item: Any) -> bytes:
    return csv.line(listing.cells(item))


def _json_line(listing: Listing, item: Any) -> bytes:
    return codec.dump_line(listing.document(item))


def _least(remaining: int) -> int:
    return min(remaining, STREAMED_AT_ONCE)
