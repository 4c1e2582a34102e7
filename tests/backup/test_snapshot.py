"""A copy of a database, as it was at one moment."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from khive_persist.store.sqlite import snapshot

ROWS = 4_000


@pytest.fixture
def source(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of so small pages that a copy takes a handful of steps."""
    connection = sqlite3.connect(tmp_path / "source.db", isolation_level=None)
    connection.execute("PRAGMA page_size = 512")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, filler)")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO numbers SELECT i, randomblob(600) FROM n",
        [ROWS],
    )
    yield connection
    connection.close()


@contextmanager
def between_steps(act: Callable[[], object]) -> Iterator[None]:
    """Do something each time that the copying comes back to Python."""

    def look(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == snapshot.__file__:
            sys.setprofile(None)
            act()
            sys.setprofile(look)

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_commits_between_its_steps_neither_come_into_a_copy_nor_make_it_begin_anew(
    source: sqlite3.Connection, tmp_path: Path
) -> None:
    commits = 0

    def commit() -> None:
        nonlocal commits
        commits += 1
        assert commits < 50, "the copy has begun anew and anew"
        source.execute("INSERT INTO numbers (filler) VALUES (randomblob(600))")
        source.execute("UPDATE numbers SET filler = '' WHERE number = ?", [commits])

    target = tmp_path / "target.db"
    with between_steps(commit):
        snapshot.take(tmp_path / "source.db", target)
    assert commits > 4
    # The first came as the copying was called: before its moment.
    assert snapshot.examine(target, fully=True).rows == {"numbers": ROWS + 1}
    copy = sqlite3.connect(target)
    assert copy.execute("SELECT number FROM numbers WHERE filler = ''").fetchall() == [(1,)]
    copy.close()
