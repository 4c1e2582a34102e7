"""A batch: many documents in one body, and what became of each."""

from collections import Counter
from typing import Any, Final, Literal, NamedTuple

from starlette.responses import Response

from khive_persist.server.http.errors import HTTPError, json_response
from khive_persist.server.request.auth import JSON_LINES
from khive_persist.server.request.body import not_json
from khive_persist.store import codec

Status = Literal["new", "same", "changed", "refused", "spooled"]

MOST: Final = 10_000


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


def batch_response(results: list[BatchResult]) -> Response:
    """Return the answer: one result a document, in their order, and how many of each there are."""
    documents = []
    for result in results:
        document: dict[str, Any] = {"id": result.id, "result": result.result}
        if result.reason:
            document["reason"] = result.reason
        documents.append(document)
    counts = Counter(result.result for result in results)
    return json_response({"results": documents, "counts": counts})


def _line(line: str) -> Any:
    try:
        return codec.load(line)
    except ValueError as error:
        return InvalidJson(f"no JSON ({error})")
