"""A batch: many documents in one body, and what became of each."""

from collections import Counter
from typing import Any, Final, Literal, NamedTuple

from starlette.responses import Response

from khive_persist.server.http.errors import Refused, json_response
from khive_persist.server.request.auth import JSON_LINES
from khive_persist.server.request.body import not_json
from khive_persist.store import codec

Word = Literal["new", "same", "changed", "refused", "spooled"]

MOST: Final = 10_000


class Told(NamedTuple):
    """What became of one document of a batch.

    Attributes:
        id: Its own, or the one that it was given; None where it was refused without one.
        result: `new` stored; `same` it was there; `changed` its id was there with other content;
            `refused`; `spooled` it waits, durably, in the spool.
        reason: Why it was refused, or an empty string.
    """

    id: str | None
    result: Word
    reason: str = ""


class NoJson(NamedTuple):
    """A line of a batch that is no JSON."""

    reason: str


def read_batch(body: bytes, media_type: str) -> list[Any]:
    """The documents of a body: an array of them or a single one, or one a line.

    A line that is no JSON is a `NoJson`; the others count.

    Raises:
        Refused: 400 it is no JSON, or not UTF-8; 413 there are more than `MOST`.
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
        raise Refused(413, "too_many", f"a batch has at most {MOST} documents")
    return documents


def batch_response(told: list[Told]) -> Response:
    """The answer: one result a document, in their order, and how many of each there are."""
    results = []
    for one in told:
        result: dict[str, Any] = {"id": one.id, "result": one.result}
        if one.reason:
            result["reason"] = one.reason
        results.append(result)
    return json_response({"results": results, "counts": Counter(one.result for one in told)})


def _line(line: str) -> Any:
    try:
        return codec.load(line)
    except ValueError as error:
        return NoJson(f"no JSON ({error})")
