"""The newest rows of several tables, a page at a time, each page as quick as the first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter, column
from khive_persist.store.codec import StoredRow, as_text
from khive_persist.store.reader import Reader
from khive_persist.store.source import COLUMNS, Source, Statement, select
from khive_persist.store.sqlite.statements import content_without

# What cannot be read as a time counts as the epoch, as it does in a record.
_UNREADABLE: Final = "1970-01-01 00:00:00.000000"
_ROWS_AT_ONCE: Final = 50
_PAGE_CHARACTERS: Final = 8 << 20


class PageKey(NamedTuple):
    """The key by which rows are paged: the newest come first, then the largest id.

    Attributes:
        created_at: Text in UTC.
        id: The row's.
    """

    created_at: str
    id: str


class NewestRow(NamedTuple):
    """A row of one of the tables, with its key."""

    key: PageKey
    purpose: Purpose
    row: StoredRow


async def newest(
    reader: Reader,
    purposes: Sequence[Purpose],
    filters: Sequence[Filter],
    last_key: PageKey | None,
    limit: int,
    *,
    without: str | None = None,
) -> tuple[list[NewestRow], PageKey | None]:
    """Return the rows after a key that pass every filter, the newest first.

    Each file's index on `created_at` is walked from the key on, so a page deep inside costs what
    the first one does. Rows that are stored meanwhile change no later page but by themselves.

    Args:
        last_key: The key of the last row of the page before; None for the first page.
        limit: At most so many; fewer where they are large, or are deleted just now.
        without: A field of `content` that is left out.

    Returns:
        The rows, and the key after which there are more; None where there are none.

    Raises:
        InvalidQueryError: A filter is wrong.
        StoreError: As its subclasses say.
    """
    keys: list[tuple[PageKey, Purpose]] = []
    for purpose in purposes:
        statement = _keys(purpose, filters, last_key, limit + 1)
        keys += [(key, purpose) for key in await reader.fetch_as(PageKey, statement)]
    keys.sort(key=lambda row: row[0], reverse=True)
    page_keys = keys[:limit]
    rows: list[NewestRow] = []
    size = 0
    for start in range(0, len(page_keys), _ROWS_AT_ONCE):
        chunk = page_keys[start : start + _ROWS_AT_ONCE]
        contents: dict[tuple[str, str], StoredRow] = {}
        for purpose in {purpose for _, purpose in chunk}:
            ids = [key.id for key, row_purpose in chunk if row_purpose == purpose]
            for row in await reader.fetch(_rows(purpose, ids, without)):
                contents[purpose.name, row[0]] = as_text(row)
        for key, purpose in chunk:
            # One that was deleted since is not there.
            if (content := contents.get((purpose.name, key.id))) is not None:
                rows.append(NewestRow(key, purpose, content))
                size += sum(len(text) for text in content if isinstance(text, str))
        if size > _PAGE_CHARACTERS:
            break
    else:
        chunk = page_keys[-1:]
    if not keys or chunk[-1] == keys[-1]:
        return rows, None
    return rows, chunk[-1][0]


def _keys(purpose: Purpose, filters: Sequence[Filter], last_key: PageKey | None, limit: int) -> Any:
    def build(source: Source) -> Statement:
        at = source.created_at
        if at != "created_at":
            at = f"coalesce({at}, '{_UNREADABLE}')"
        table = replace(source.only(purpose.name), created_at=at)
        sql, values = select(table, filters, columns=f"{at} AS created_at, id")
        if last_key is not None:
            # Both: the first lets the index begin there, the second leaves out what was shown.
            sql += f" AND {at} <= ? AND ({at}, id) < (?, ?)"
            values += [last_key.created_at, *last_key]
        return Statement(f"{sql} ORDER BY {at} DESC, id DESC LIMIT ?", [*values, limit])

    return build


def _rows(purpose: Purpose, ids: list[str], without: str | None) -> Any:
    def build(source: Source) -> Statement:
        content = "content" if without is None else content_without(without)
        columns = COLUMNS.replace("content", content)
        return select(source.only(purpose.name), [column("id").in_(ids)], columns=columns)

    return build
