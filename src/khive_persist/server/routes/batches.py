"""A batch: many documents in one body, and what became of each."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, Literal, NamedTuple, NotRequired, TypeVar

from starlette.responses import Response
from typing_extensions import TypedDict

from khive_persist.errors import InvalidRecordError
from khive_persist.recorder.messages import Payload, Record, Result
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.preparer import INLINE_BYTES
from khive_persist.server.request.auth import JSON_LINES
from khive_persist.server.request.body import not_json
from khive_persist.store import codec

Status = Literal["new", "same", "changed", "refused", "spooled"]

Row = TypeVar("Row", Payload, Record)

MOST: Final = 10_000
# Of a large body: what others send is stored between two pieces.
PIECE_DOCUMENTS: Final = 128
PIECE_BYTES: Final = 262_144


class BatchResult(NamedTuple):
    """The result of one document of a batch.

    Attributes:
        id: Its own id, or the one that it was given; None where it was refused without one.
        result: `new` stored; `same` it was there; `changed` its id was there with other content;
            `refused`; `spooled` it waits, durably, in the spool.
        reason: The reason of a refusal, or an empty string.
    """

    id: str | None
    result: Status
    reason: str = ""


class BatchItem(TypedDict):
    """One result, as JSON has it; see `BatchResult`."""

    id: str | None
    result: Status
    reason: NotRequired[str]


class BatchResults(TypedDict):
    """The answer to a batch: a result a document, in their order, and the counts of results."""

    results: list[BatchItem]
    counts: dict[Status, int]


class Piece(NamedTuple, Generic[Row]):
    """A piece of a batch, whose rows are stored together.

    Attributes:
        results: The results of its documents; of one with a row, until it is stored, a refusal.
        rows: The rows of those that can be stored, by their places in `results`.
    """

    results: list[BatchResult]
    rows: dict[int, Row]

    def take(self, replies: Iterable[Result]) -> None:
        """Take the results of its rows, in their order."""
        for (at, row), reply in zip(self.rows.items(), replies, strict=True):
            self.results[at] = BatchResult(row.id, *reply)


class InvalidJson(NamedTuple):
    """A line of a batch that is no JSON."""

    reason: str


def read_batch(body: bytes, media_type: str) -> list[Any]:
    """Return the documents of a body: an array of them or a single one, or one a line.

    A line that is no JSON is an `InvalidJson`; the others count.

    Raises:
        HTTPError: 400 it is no JSON, or not UTF-8; 413 there are more than `MOST`.
    """
    try:
        text = body.decode()
        if media_type in JSON_LINES:
            documents = [_line(line) for line in text.split("\n") if line.strip()]
        else:
            document = codec.load(text)
            documents = document if isinstance(document, list) else [document]
    except ValueError as error:
        raise not_json(error) from error
    if len(documents) > MOST:
        raise HTTPError(413, "too_many", f"a batch has at most {MOST} documents")
    return documents


def pieces_of(body: bytes, media_type: str, make: Callable[[Any], Row]) -> list[Piece[Row]]:
    """Return the documents of a body in pieces, as `read_batch` and `in_pieces` say.

    `make` makes the row of a document, or raises `InvalidRecordError`.
    """
    return in_pieces(body, _results(read_batch(body, media_type), make))


def _results(
    documents: list[Any], make: Callable[[Any], Row]
) -> Iterator[tuple[BatchResult, Row | None]]:
    for document in documents:
        try:
            if isinstance(document, InvalidJson):
                raise InvalidRecordError(document.reason)
            row = make(document)
        except InvalidRecordError as error:
            id = document.get("id") if isinstance(document, dict) else None
            yield BatchResult(id if isinstance(id, str) else None, "refused", str(error)), None
        else:
            yield BatchResult(row.id, "refused"), row


def in_pieces(body: bytes, documents: Iterable[tuple[BatchResult, Row | None]]) -> list[Piece[Row]]:
    """Return documents in pieces: each a refusal, or a result to be and its row.

    Those of a small body are one piece, and are stored all or none.
    """
    is_large = len(body) > INLINE_BYTES
    piece: Piece[Row] = Piece([], {})
    pieces = [piece]
    size = 0
    for result, row in documents:
        if is_large and (len(piece.results) == PIECE_DOCUMENTS or size > PIECE_BYTES):
            piece, size = Piece([], {}), 0
            pieces.append(piece)
        if row is not None:
            piece.rows[len(piece.results)] = row
            size += row.size
        piece.results.append(result)
    return pieces


class BatchAnswer:
    """The answer to a batch, made piece by piece: the JSON of `BatchResults`."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._counts: Counter[Status] = Counter()

    async def add(self, results: list[BatchResult]) -> Counter[Status]:
        """Add the results of a piece, and return how many of each it has; others have a turn."""
        documents: list[BatchItem] = []
        for result in results:
            documents.append({"id": result.id, "result": result.result})
            if result.reason:
                documents[-1]["reason"] = result.reason
        counts = Counter(result.result for result in results)
        self._counts += counts
        if documents:
            self._texts.append(codec.dump_lossy(documents)[1:-1])
        await asyncio.sleep(0)
        return counts

    def response(self) -> Response:
        """Return the answer."""
        texts = ",".join(self._texts)
        text = f'{{"results":[{texts}],"counts":{codec.dump_lossy(self._counts)}}}'
        return Response(text.encode(), media_type="application/json")


def _line(line: str) -> Any:
    try:
        return codec.load(line)
    except ValueError as error:
        return InvalidJson(f"no JSON ({error})")
