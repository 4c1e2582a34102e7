"""Queries over records of a user's own kinds, without their classes.

Each raises a StoreError, as its subclasses say, where a file cannot be read.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist.models.described import described
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter, column
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select

Files = Iterable[tuple[Path, Purpose]]


class KindCount(NamedTuple):
    """The records of one kind.

    Attributes:
        purpose: Its name.
        records: The number of records.
        sessions: The number of values of `content.session_id`.
        first: The earliest `created_at`, as UTC text, or None.
        last: The latest.
    """

    purpose: str
    records: int
    sessions: int
    first: str | None
    last: str | None


async def find_records(
    files: Files, *filters: Filter, limit: int | None = None
) -> dict[str, list[Node]]:
    """Return the records of each purpose that pass every filter, in order of time.

    A file that is missing is passed over, and is not made.

    Args:
        files: Each a database and what it holds.
        limit: At most so many of a purpose.

    Returns:
        Lists that are not empty, by the name of the purpose.
    """
    records = {}
    for path, purpose in _present(files):
        build = partial(select, filters=filters, order_by=column("created_at"), limit=limit)
        if rows := await _fetch(path, purpose, build):
            record = described(purpose)
            records[purpose.name] = [codec.from_row(record, row) for row in rows]
    return records


async def session_ids(files: Files, filter: Filter, *, limit: int) -> set[str]:
    """Return the sessions of the records that pass a filter; at most so many of a purpose."""

    def build(source: Source) -> Statement:
        columns = f"DISTINCT {source.extract('$.session_id')}"
        return select(source, [filter], columns=columns, limit=limit)

    ids = set()
    for path, purpose in _present(files):
        ids |= {str(row[0]) for row in await _fetch(path, purpose, build)}
    return ids


async def count_records(files: Files) -> list[KindCount]:
    """Count the records of each purpose; a file that is missing is passed over, and is not made."""
    counts: list[KindCount] = []
    for path, purpose in _present(files):
        async with Reader([(path, purpose)]) as reader:
            counts += await reader.fetch_as(KindCount, partial(_count, purpose))
    return counts


async def _fetch(path: Path, purpose: Purpose, build: Any) -> Sequence[Any]:
    async with Reader([(path, purpose)]) as reader:
        return await reader.fetch(build)


def _present(files: Files) -> list[tuple[Path, Purpose]]:
    return [(path, purpose) for path, purpose in files if path.exists()]


def _count(purpose: Purpose, source: Source) -> Statement:
    at = source.created_at
    columns = (
        f"'{purpose.name}' AS purpose, count(*) AS records,"
        f" count(DISTINCT {source.extract('$.session_id')}) AS sessions,"
        f" utc_text(min({at})) AS first, utc_text(max({at})) AS last"
    )
    return select(source, columns=columns)
