"""Vectors as the index keeps them, and the passages that are nearest to one.

A vector is kept as 8-bit integers, scaled so that the largest is 127: a quarter of its size, and
its cosines to within a hundredth. All are compared, in batches: no list of neighbours has to be
kept up, and memory is flat.
"""

from typing import TYPE_CHECKING, Final

from khive_persist.errors import extra
from khive_persist.store.source import Statement
from khive_persist.store.sqlite.connection import Connection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from khive_persist.search_index.semantic.source import Matrix

with extra("semantic", "search by meaning"):
    import numpy as np

_LARGEST: Final = 127
_BATCH: Final = 4_096


def model_of(name: str, rows: "Matrix") -> str:
    """Return the name under which a model's vectors are kept: those of other sizes are others."""
    return f"{name} {rows.shape[1]}"


def packed(rows: "Matrix") -> list[bytes]:
    """Return rows as the index keeps them; of one of zeros, no byte."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = np.divide(rows * _LARGEST, largest, out=np.zeros_like(rows), where=largest > 0)
    integers = np.rint(scaled).astype(np.int8)
    return [row.tobytes() if row.any() else b"" for row in integers]


def nearest(
    connection: Connection, name: str, row: "Matrix", condition: Statement | None, limit: int
) -> list[tuple[int, float]]:
    """Return the numbers of the passages that are nearest to a vector, with their cosines.

    Args:
        connection: The index.
        name: The name of the model that made the vector.
        row: The vector, as the only row.
        condition: The condition on the passages `p`; None for all.
        limit: The greatest number of them.

    Returns:
        The nearest first; of equals, the newest.
    """
    sql = "SELECT v.passage, v.vector FROM vectors AS v"
    of_model, values = "v.model = ? AND length(v.vector) = ?", [model_of(name, row), row.shape[1]]
    if condition is None:
        cursor = connection.execute(f"{sql} WHERE {of_model}", values)
    else:
        cursor = connection.execute(
            f"{sql} JOIN passages AS p ON p.number = v.passage"
            f" WHERE {of_model} AND ({condition.sql})",
            [*values, *condition.values],
        )
    numbers: NDArray[np.int64] = np.empty(0, np.int64)
    cosines: NDArray[np.float32] = np.empty(0, np.float32)
    while batch := cursor.fetchmany(_BATCH):
        joined = b"".join([vector for _, vector in batch])
        matrix = np.frombuffer(joined, np.int8).reshape(len(batch), -1).astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
        new = (matrix @ row[0]) / lengths
        places = (
            np.flatnonzero(new >= cosines[-1]) if len(cosines) == limit else np.arange(len(new))
        )
        numbers = np.append(numbers, np.array([batch[place][0] for place in places], np.int64))
        cosines = np.append(cosines, new[places])
        best = np.lexsort((-numbers, -cosines))[:limit]
        numbers, cosines = numbers[best], cosines[best]
    return [(int(number), float(cosine)) for number, cosine in zip(numbers, cosines, strict=True)]
