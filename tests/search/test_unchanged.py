"""Files that nobody wrote to since the last look are not opened, and no write is missed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from khive_persist.project import Project
from khive_persist.search_index.follow import catch_up, count_behind
from khive_persist.search_index.unchanged import settled_version
from tests.factories import message, plan, save, save_many

_OPENED: list[str] = []
_IS_HOOKED: list[bool] = []


@contextmanager
def opened() -> Iterator[list[str]]:
    """Note which databases are opened."""

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "sqlite3.connect":
            _OPENED.append(os.fsdecode(args[0]))

    if not _IS_HOOKED:
        # None can be removed.
        sys.addaudithook(note)
        _IS_HOOKED.append(True)
    _OPENED.clear()
    yield _OPENED


def let_settle(project: Project) -> None:
    """Make the files as old as if nobody had written to them for a minute."""
    for path in project.khive.glob("*.db*"):
        at = path.stat().st_mtime - 60
        os.utime(path, (at, at))


def test_files_that_nobody_wrote_to_are_not_opened_again(project: Project) -> None:
    save_many(project, [message("s1", 1, text="zebra"), plan("s1", task_description="giraffe")])
    assert catch_up(project) == 0
    let_settle(project)
    assert catch_up(project) == 0
    with opened() as files:
        assert catch_up(project) == 0
    assert files
    assert all("search.db" in file for file in files)


def test_what_is_written_after_a_look_is_seen(project: Project) -> None:
    save(project, message("s1", 1, text="zebra"))
    let_settle(project)
    for number in range(5):
        assert catch_up(project) == 0
        assert catch_up(project) == 0
        save(project, message("s1", 2 + number, text="okapi"))
        assert count_behind(project) == 1
        let_settle(project)


def test_a_file_that_was_just_written_to_says_nothing(project: Project) -> None:
    save(project, message("s1", 1, text="zebra"))
    path = project.database("conversations.db")
    assert settled_version(path) is None
    let_settle(project)
    assert settled_version(path)
