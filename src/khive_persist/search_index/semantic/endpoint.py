"""Vectors of a server that speaks as OpenAI's: POST …/embeddings.

https://platform.openai.com/docs/api-reference/embeddings
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from khive_persist import web_requests
from khive_persist.errors import extra
from khive_persist.search_index.semantic.source import MOST_CHARACTERS, VectorsUnavailableError
from khive_persist.store import codec
from khive_persist.web_requests import RequestFailedError

if TYPE_CHECKING:
    from khive_persist.search_index.semantic.source import Matrix

with extra("semantic", "search by meaning"):
    import numpy as np

# Of a batch of the largest vectors, spelled at length.
_MOST_BYTES: Final = 32 << 20
_MOST_DIMENSIONS: Final = 8_192
_SILENCE_SECONDS: Final = 20.0
_FIRST_PAUSE_SECONDS: Final = 0.5
# The text is to blame, as where it has too many tokens: others may be taken.
_REFUSALS: Final = (400, 413, 422)


class Endpoint:
    """A server's model."""

    def __init__(
        self, address: str, model: str, key_variable: str, environment: Mapping[str, str]
    ) -> None:
        self.model = f"endpoint {model}"
        self._requested_model = model
        base = address.rstrip("/")
        self._address = base if base.endswith("/embeddings") else f"{base}/embeddings"
        self._host = urlsplit(address).hostname
        self._key_variable = key_variable
        self._key = environment.get(key_variable, "") if key_variable else ""

    def embed(self, texts: list[str], seconds: float) -> "Matrix":
        """Return vectors, as `Source.embed` says; a batch that is refused goes text by text."""
        if self._key_variable and not self._key:
            raise VectorsUnavailableError(f"{self._key_variable} is not set")
        deadline = time.monotonic() + seconds
        try:
            return self._requested(texts, deadline)
        except RequestFailedError as error:
            if error.status not in _REFUSALS or len(texts) == 1:
                raise self._unavailable(error) from error
            refusal = error
        rows: list[Matrix | None] = []
        for text in texts:
            try:
                rows.append(self._requested([text], deadline)[0])
            except RequestFailedError as error:
                if error.status not in _REFUSALS:
                    raise self._unavailable(error) from error
                rows.append(None)
        sizes = {len(row) for row in rows if row is not None}
        if len(sizes) != 1:
            raise self._unavailable(refusal)
        nothing: Matrix = np.zeros(sizes.pop(), np.float32)
        return np.stack([nothing if row is None else row for row in rows])

    def _requested(self, texts: list[str], deadline: float) -> "Matrix":
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise RequestFailedError("took too long")
        document = {
            "model": self._requested_model,
            # A text of no character is refused by some servers.
            "input": [text[:MOST_CHARACTERS] or " " for text in texts],
            "encoding_format": "float",
        }
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        body = web_requests.post_json(
            self._address,
            codec.dump_lossy(document).encode(),
            headers,
            seconds=remaining,
            request_seconds=min(_SILENCE_SECONDS, remaining),
            first_pause=_FIRST_PAUSE_SECONDS,
            most_bytes=_MOST_BYTES,
        )
        try:
            return _unit_rows(_matrix(codec.load(body), len(texts)))
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise RequestFailedError("answered what are no vectors", 200) from error

    def _unavailable(self, error: RequestFailedError) -> VectorsUnavailableError:
        return VectorsUnavailableError(f"{self._host} {error}")


def _matrix(answer: Any, count: int) -> "Matrix":
    """Return the vectors of an answer, in the order of the texts.

    Raises:
        ValueError: It has another number of them, or they are of different or absurd sizes.
    """
    entries = sorted(answer["data"], key=lambda entry: entry["index"])
    if [entry["index"] for entry in entries] != list(range(count)):
        raise ValueError("another number of vectors")
    with np.errstate(over="ignore"):
        matrix = np.array([entry["embedding"] for entry in entries], np.float32)
    if matrix.ndim != 2 or not 1 <= matrix.shape[1] <= _MOST_DIMENSIONS:
        raise ValueError("no vectors")
    return matrix


def _unit_rows(matrix: "Matrix") -> "Matrix":
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise ValueError("a number is not finite")
    # Without a length: a text that has no vector.
    lengths[lengths == 0] = 1.0
    rows: Matrix = matrix / lengths
    return rows
