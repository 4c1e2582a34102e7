"""Compared and made anew while four processes write all the time: no false alarm, nothing lost."""

import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest

from khive_persist.cli.root import run
from khive_persist.copies import mirrored
from khive_persist.mirror.rebuild import Rebuilt, rebuild_databases, rebuild_mirror
from khive_persist.models.purposes import PLANNER_SESSIONS, Purpose
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from tests.factories import save
from tests.mirror.records import CLAUDE, assert_equal, drained, files, found, plan, recorded
from tests.mirror.writers import ALL, acknowledged
from tests.writers import go_on, writing

# More than are acknowledged while a test does its part once, on a quiet machine.
AT_ONCE = 250


def numbers(project: Project) -> dict[str, int]:
    return {
        id: content.get("payload", content)["number"]
        for (_, id), (content, _) in recorded(project).items()
    }


def assert_kept(project: Project, said: dict[str, int]) -> None:
    there = numbers(project)
    assert said
    assert {id: number for id, number in said.items() if there.get(id, -1) < number} == {}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("times", "more"),
    [pytest.param(6, 40, id="quick"), pytest.param(200, 300, id="long", marks=pytest.mark.long)],
)
def test_no_difference_is_found_where_there_is_none(
    project: Project, times: int, more: int
) -> None:
    with writing(project, more, ALL) as writers:
        for _ in range(times):
            before = [writer.go_on(more) for writer in writers]
            assert found(project) == []
            for writer, count in zip(writers, before, strict=True):
                writer.wait_until(count + 1)
    assert [writer.errors for writer in writers] == [""] * 4
    assert list((project.khive / "staging").iterdir()) == []


def lose_rows(project: Project, purpose: Purpose) -> None:
    """Every fifth row, past all of our code: the mirror alone has it then.

    None that moves between sessions: saved again elsewhere, nothing would say that it had moved.
    None that is committed and not copied yet, for which the gate is waited for.
    """
    path = project.database(purpose.file)
    with write_lock.held_alone(path, 30), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout = 10000")
        connection.execute(
            f"DELETE FROM {purpose.table}"
            " WHERE id LIKE 'lost%' OR rowid % 5 = 0 AND id NOT LIKE 'event%'"
        )
        connection.commit()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "times", [pytest.param(2, id="quick"), pytest.param(40, id="long", marks=pytest.mark.long)]
)
def test_writers_go_on_while_the_mirror_is_made_anew(project: Project, times: int) -> None:
    with writing(project, 1, ALL) as writers:
        for number in range(times):
            go_on(writers, AT_ONCE, 40)
            for name in files(project)[number % 2 :: 2]:
                (project.sessions / name).unlink(missing_ok=True)
            done = rebuild_mirror(project, mirrored(project))
            assert done.is_equal, found(project)
        assert found(project) == []
    assert [writer.errors for writer in writers] == [""] * 4
    drained(project)
    assert rebuild_mirror(project, mirrored(project)).is_equal
    assert_equal(project)
    assert_kept(project, acknowledged(writers))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "times", [pytest.param(2, id="quick"), pytest.param(40, id="long", marks=pytest.mark.long)]
)
def test_writers_go_on_with_databases_that_are_made_anew(project: Project, times: int) -> None:
    path = project.database(PLANNER_SESSIONS.file)
    with writing(project, 1, ALL) as writers:
        for number in range(times):
            go_on(writers, AT_ONCE, 40)
            # The others may save all of theirs again before the copies are compared.
            save(project, plan(f"lost-{number}", number=number))
            lose_rows(project, PLANNER_SESSIONS)
            lose_rows(project, CLAUDE)
            before = path.stat().st_ino
            done = rebuild_databases(project, mirrored(project))
            assert done.is_equal, found(project)
            assert {"planner_sessions", "claude_hooks"} <= set(done.rebuilt)
            assert path.stat().st_ino != before
        go_on(writers, 20, 20)
        assert found(project) == []
    assert [writer.errors for writer in writers] == [""] * 4
    drained(project)
    rebuild_mirror(project, mirrored(project))
    assert_equal(project)
    assert_kept(project, acknowledged(writers))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "times", [pytest.param(1, id="quick"), pytest.param(20, id="long", marks=pytest.mark.long)]
)
def test_two_that_make_anew_at_once_end_equal(project: Project, times: int) -> None:
    ended: list[Rebuilt | BaseException] = []

    def make_anew(direction: Any) -> None:
        try:
            ended.append(direction(project, mirrored(project)))
        except BaseException as error:
            ended.append(error)

    with writing(project, 1, ALL) as writers:
        for _ in range(times):
            go_on(writers, AT_ONCE, 40)
            for name in files(project)[::2]:
                (project.sessions / name).unlink(missing_ok=True)
            threads = [threading.Thread(target=make_anew, args=(rebuild_mirror,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert rebuild_mirror(project, mirrored(project)).is_equal
    assert [one for one in ended if isinstance(one, BaseException)] == []
    assert [writer.errors for writer in writers] == [""] * 4
    drained(project)
    assert rebuild_mirror(project, mirrored(project)).is_equal
    assert_equal(project)
    assert run(["--dir", str(project.root), "verify"]) == 0
    assert_kept(project, acknowledged(writers))
