"""The state of one database file, as its rows tell it.

Each raises a StoreError, as its subclasses say, where the file cannot be read.
"""

from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.store.sqlite.catalogue import as_identifier
from khive_persist.store.sqlite.connection import opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.named_rows import rows_as

_REDACTED: Final = "$.redacted"


class RowCounts(NamedTuple):
    """The rows of a table.

    Attributes:
        rows: Their number.
        last: The time of the latest, text in UTC; None without any.
        malformed: The number of those whose content is no JSON.
    """

    rows: int
    last: str | None
    malformed: int


def count_rows(path: Path, table: str) -> RowCounts:
    """Count the rows of a table."""
    with opened_reader(path) as connection, translated(path):
        cursor = connection.execute(
            "SELECT count(*) AS rows, max(utc_text(created_at)) AS last,"
            " count(CASE WHEN NOT json_valid(content) THEN 1 END) AS malformed"
            f" FROM {as_identifier(table)}"
        )
        (counts,) = rows_as(RowCounts, cursor)
    return counts


def count_redactions(path: Path, table: str, prefix: str) -> dict[str, int]:
    """Count the rows whose redaction is of a kind that begins with a prefix, by kind."""
    with opened_reader(path) as connection, translated(path):
        return dict(
            connection.execute(
                "SELECT json_each.key, count(*)"
                f" FROM {as_identifier(table)} AS node, json_each(node_metadata, ?)"
                " WHERE node_metadata LIKE ? AND json_valid(node_metadata)"
                " AND json_each.key LIKE ? GROUP BY 1",
                (_REDACTED, f'%"{prefix}%', f"{prefix}%"),
            ).fetchall()
        )
