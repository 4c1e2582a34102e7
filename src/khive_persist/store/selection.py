"""The records of one file that pass filters, as its writing connection sees them."""

import sqlite3
from collections.abc import Iterable

from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.store.sqlite.connection import utc_text
from khive_persist.store.sqlite.statements import ODD_CREATED_AT, select, union
from khive_persist.store.sqlite.words import quoted


def matching_ids(
    connection: sqlite3.Connection, purpose: Purpose, filters: Iterable[Filter], limit: int
) -> list[str]:
    """Return the ids of the records that pass every filter, at most so many.

    Raises:
        InvalidQueryError: A filter is wrong.
    """
    table = quoted(purpose.table)
    odd = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {ODD_CREATED_AT})"
    listed = "SELECT sql FROM sqlite_schema WHERE tbl_name = ? COLLATE NOCASE AND type = 'index'"
    indexes = [row[0] or "" for row in connection.execute(listed, [purpose.table])]
    connection.create_function("utc_text", 1, utc_text, deterministic=True)
    source = union(
        {purpose.name: table},
        odd=bool(connection.execute(odd).fetchone()[0]),
        # An index on a field of content takes no row whose content is no JSON.
        guarded=not any("json_extract(content," in sql for sql in indexes),
    )
    sql, values = select(source, filters, limit=limit, columns="id")
    return [row[0] for row in connection.execute(sql, values)]
