"""Records are made of rows by the names of the columns, and by nothing else."""

import asyncio
import sqlite3
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store import pages
from khive_persist.store.reader import Reader
from khive_persist.store.source import NO_ROWS, Source, Statement
from khive_persist.store.sqlite.named_rows import rows_by_key


class Count(NamedTuple):
    """A word, the number of times that it stands, and whether it is the first."""

    word: str
    number: int
    is_first: bool


COUNTS = [Count("a", 1, True), Count("b", 2, False)]
COLUMNS = ("number", "is_first", "word")
VALUES = "(SELECT 'a' AS word, 1 AS number, 1 AS is_first UNION ALL SELECT 'b', 2, 0)"


def build(_: Source, columns: tuple[str, ...] = COLUMNS) -> Statement:
    return Statement(f"SELECT {', '.join(columns)} FROM {VALUES}", [])


@pytest.fixture
async def reader(database: Path) -> Any:
    async with Reader([(database, PLANNER_SESSIONS)]) as reader:
        yield reader


@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS[::-1], Count._fields])
async def test_the_order_of_the_columns_is_free(reader: Reader, columns: tuple[str, ...]) -> None:
    ordered = partial(build, columns=columns)
    assert await reader.fetch_as(Count, ordered) == COUNTS
    assert [count async for count in reader.stream_as(Count, ordered)] == COUNTS
    keyed = partial(build, columns=(*columns, "word || number AS id"))
    assert await reader.fetch_by_key("id", Count, keyed) == list(
        zip(["a1", "b2"], COUNTS, strict=True)
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (COLUMNS[1:], r"Count: .*missing: \['number'\]"),
        ((*COLUMNS, "1 AS other"), r"too many: \['other'\]"),
        ((*COLUMNS, "1 AS number"), r"too many: \['number', 'number'\]"),
        (("number AS n", *COLUMNS[1:]), r"missing: \['number'\], too many: \['n'\]"),
    ],
)
async def test_an_error_names_the_columns_that_differ(
    reader: Reader, columns: tuple[str, ...], words: str
) -> None:
    wrong = partial(build, columns=columns)
    with pytest.raises(TypeError, match=words):
        await reader.fetch_as(Count, wrong)
    with pytest.raises(TypeError, match=words):
        await anext(reader.stream_as(Count, wrong))
    with pytest.raises(TypeError, match="'id'"):
        await reader.fetch_by_key("id", Count, build)


async def test_rows_that_were_copied_meanwhile_are_records_too(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SNAPSHOT_SECONDS", 0)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299)"
    sql = f"{numbers} SELECT i AS number, 0 AS is_first, 'w' || i AS word FROM n"
    counts = []
    async with aclosing(reader.stream_as(Count, lambda _: Statement(sql, []))) as stream:
        async for count in stream:
            await asyncio.sleep(0.001)
            counts.append(count)
    assert counts == [Count(f"w{number}", number, False) for number in range(300)]


async def test_a_file_that_is_missing_has_no_records(reader: Reader) -> None:
    assert await reader.fetch_as(Count, lambda _: NO_ROWS) == []
    assert await reader.fetch_by_key("id", Count, lambda _: NO_ROWS) == []
    assert [count async for count in reader.stream_as(Count, lambda _: NO_ROWS)] == []


def test_a_record_of_one_field_is_made_by_its_key() -> None:
    class Verdict(NamedTuple):
        verdict: str

    with closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute("SELECT 'success' AS verdict, 's1' AS session_id")
        assert rows_by_key("session_id", Verdict, cursor) == [("s1", Verdict("success"))]
