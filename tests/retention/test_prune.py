"""Prune: by age, count and size; payloads only; both copies; files get smaller."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import anyio
import pytest

from khive_persist import tombstones
from khive_persist.copies import rebuild
from khive_persist.errors import InvalidSettingsError
from khive_persist.maintenance.retention.prune import prune
from khive_persist.maintenance.retention.rules import Rule, parse, rule_of
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.tombstones import Pruning
from tests.retention.events import FAT, NOW, are_equal, contents, put_events, put_plans

CODEX = HOOK_EVENTS["codex"]
SETTINGS = Settings()


def run(project: Project, rule: Rule, *, dry_run: bool = False) -> tuple[int, int]:
    done = prune(project, CODEX, rule, SETTINGS, as_of=NOW, dry_run=dry_run)
    return done.removed, done.payloads


def test_older_records_go_from_both_copies_and_younger_stay(project: Project) -> None:
    ids = put_events(project, 40, 31, 30, 29, 0)
    assert run(project, Rule(keep_age=timedelta(days=30))) == (2, 0)
    assert list(contents(project)) == ids[2:]
    assert are_equal(project)
    assert len(list(project.sessions.glob("*.jsonl"))) == 3


def test_the_newest_stay_whatever_order_they_came_in(project: Project) -> None:
    ids = put_events(project, 1, 3, 2, 5, 4)
    assert run(project, Rule(keep_count=2)) == (3, 0)
    assert set(contents(project)) == {ids[0], ids[2]}
    assert are_equal(project)


def test_the_newest_stay_that_hold_so_many_bytes(project: Project) -> None:
    ids = put_events(project, 5, 4, 3, 2, 1)
    each = len(FAT)
    assert run(project, Rule(keep_bytes=3 * each)) == (3, 0)
    assert list(contents(project)) == ids[3:]
    assert run(project, Rule(keep_bytes=3 * each)) == (0, 0)
    assert run(project, Rule(keep_bytes=10)) == (2, 0)
    assert contents(project) == {}
    assert are_equal(project)


def test_the_strictest_limit_holds(project: Project) -> None:
    put_events(project, 5, 4, 3, 2, 1)
    assert run(project, Rule(keep_count=4, keep_age=timedelta(days=3, hours=1))) == (2, 0)


def test_old_events_lose_their_payload_and_keep_their_facts(project: Project) -> None:
    old, new = put_events(project, 20, 1)
    assert run(project, Rule(keep_payload_age=timedelta(days=14))) == (0, 1)
    found = contents(project)
    assert found[new]["payload"]["text"] == FAT
    assert found[old]["command"] == "make"
    assert found[old]["metadata"] == {"payload_dropped": True}
    assert set(found[old]["payload"]["dropped"]) == {"bytes", "sha256"}
    assert FAT[:100] not in str(found[old])
    assert are_equal(project)
    assert run(project, Rule(keep_payload_age=timedelta(days=14))) == (0, 0)


def test_a_small_payload_stays(project: Project) -> None:
    put_events(project, 20, payload={"small": True})
    assert run(project, Rule(keep_payload_age=timedelta(0))) == (0, 0)


def test_a_dry_run_counts_the_same_and_changes_nothing(project: Project) -> None:
    put_events(project, 40, 20, 1)
    rule = Rule(keep_age=timedelta(days=30), keep_payload_age=timedelta(days=10))
    before = contents(project)
    assert run(project, rule, dry_run=True) == (1, 1)
    assert contents(project) == before
    assert are_equal(project)
    assert run(project, rule) == (1, 1)


@pytest.mark.parametrize("rule", [Rule(keep_count=5), Rule(keep_payload_age=timedelta(days=2))])
def test_the_file_gets_smaller(project: Project, rule: Rule) -> None:
    put_events(project, *[3 + number / 1_000 for number in range(400)])
    done = prune(project, CODEX, rule, SETTINGS, as_of=NOW)
    assert done.file_bytes < done.file_bytes_before / 4
    assert done.file_bytes == project.database(CODEX.file).stat().st_size


def test_a_record_without_a_time_stays(project: Project) -> None:
    put_events(project, 9)
    connection = open_writer(project.database(CODEX.file), CODEX)
    connection.execute("UPDATE hook_events SET created_at = 'some day'")
    connection.close()
    assert run(project, Rule(keep_age=timedelta(0), keep_count=0, keep_bytes=0)) == (0, 0)


@pytest.mark.parametrize(
    "spelling", ["2026-10-01T10:00:00+02:00", "2026-10-01 08:00:00", 1_790_841_600.5]
)
def test_times_as_old_files_spell_them_count(project: Project, spelling: str | float) -> None:
    put_events(project, 1, 2)
    connection = open_writer(project.database(CODEX.file), CODEX)
    connection.execute(
        "UPDATE hook_events SET created_at = ? WHERE rowid ="
        " (SELECT rowid FROM hook_events ORDER BY created_at LIMIT 1)",
        (spelling,),
    )
    connection.close()
    assert run(project, Rule(keep_age=timedelta(days=30))) == (1, 0)


def test_other_purposes_stay(project: Project) -> None:
    put_events(project, 40)
    put_events(project, 40, tool="gemini-cli")
    put_plans(project, ["s1", "s2"])
    run(project, Rule(keep_age=timedelta(0)))
    assert contents(project) == {}
    assert len(contents(project, "gemini_hooks.db")) == 1
    assert len(contents(project, "planner_sessions.db")) == 2
    assert are_equal(project)


def test_plans_lose_their_files_too(project: Project) -> None:
    put_plans(project, ["s1", "s2", "s3"])
    done = prune(project, PLANNER_SESSIONS, Rule(keep_count=1), SETTINGS)
    assert done.removed == 2
    assert len(list(project.sessions.glob("*.json"))) == 1
    assert are_equal(project)


def test_an_old_file_without_auto_vacuum_gets_smaller_too(project: Project) -> None:
    project.make()
    connection = sqlite3.connect(project.database(CODEX.file))
    connection.execute(
        "CREATE TABLE hook_events (id VARCHAR NOT NULL PRIMARY KEY, content JSON,"
        " node_metadata JSON, created_at DATETIME, embedding JSON)"
    )
    connection.executemany(
        "INSERT INTO hook_events VALUES (?, ?, NULL, '2020-01-01T00:00:00', 'null')",
        [(f"id-{number}", f'{{"event_type":"stop","x":"{FAT}"}}') for number in range(300)],
    )
    connection.commit()
    connection.close()
    done = prune(project, CODEX, Rule(keep_count=3), SETTINGS)
    assert done.removed == 297
    assert done.file_bytes < done.file_bytes_before / 4


def test_rules_of_the_settings(project: Project) -> None:
    rules = tuple(
        map(parse, ["codex_hooks keep_age=12h keep_bytes=2GB", "* keep_count=7", "* keep_age=1w"])
    )
    assert rule_of(rules, "codex_hooks") == Rule(
        "codex_hooks", keep_age=timedelta(hours=12), keep_bytes=2 * 10**9
    )
    assert rule_of(rules, "planner_sessions") == Rule("*", keep_count=7)
    assert rule_of(rules[:1], "planner_sessions") is None


@pytest.mark.parametrize(
    "text",
    ["", "x", "x keep_age", "x keep_age=", "x keep_age=3", "x keep_age=-3d", "x keep_count=1.5",
     "x keep_bytes=2XB", "x purpose=y", "x keep_age=1d keep_age=2d", "x older=1d"],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingsError):
        parse(text)


def late(project: Project, *ages_days: float) -> list[str]:
    """Events of one session, in one file that is named for the first."""
    return put_events(project, *ages_days, session_id="one-session")


def test_a_late_record_goes_from_the_file_of_a_later_day(project: Project) -> None:
    new, _ = late(project, 1, 200)
    assert run(project, Rule(keep_age=timedelta(days=90))) == (1, 0)
    assert list(contents(project)) == [new]
    assert are_equal(project)
    rebuilt = anyio.run(lambda: rebuild("mirror", dir=project.root, discard_unmirrored=True))
    assert rebuilt.is_equal
    assert list(contents(project)) == [new]


def test_what_an_earlier_prune_has_left_in_the_mirror_goes(project: Project) -> None:
    """As after one that was killed, or one of a version that looked at older files alone."""
    new, old = late(project, 1, 200)
    run(project, Rule(keep_count=5))
    with closing(sqlite3.connect(project.database(CODEX.file))) as connection:
        connection.execute("DELETE FROM hook_events WHERE id = ?", (old,))
        connection.commit()
    assert not are_equal(project)
    undone = Pruning("", is_done=False)
    tombstones.note(project, lambda stones: stones.with_pruning(CODEX.name, undone))
    assert run(project, Rule(keep_age=timedelta(days=90))) == (0, 0)
    assert are_equal(project)
    assert list(contents(project)) == [new]


def test_a_late_payload_goes_from_the_file_of_a_later_day(project: Project) -> None:
    _, old = late(project, 1, 200)
    assert run(project, Rule(keep_payload_age=timedelta(days=90))) == (0, 1)
    assert contents(project)[old]["metadata"] == {"payload_dropped": True}
    assert are_equal(project)


def test_what_comes_while_the_mirror_is_pruned_stays_in_both_copies(project: Project) -> None:
    """An old record that is saved between the two copies' turns: the next prune takes it."""
    put_events(project, 1, session_id="a-session")
    late(project, 1, 200)
    calls: list[int] = []
    came: list[str] = []

    def advance(count: int) -> None:
        calls.append(count)
        # The database was looked at, and the first file of the mirror.
        if len(calls) == 2:
            came.extend(late(project, 300))

    prune(project, CODEX, Rule(keep_age=timedelta(days=90)), SETTINGS, as_of=NOW, advance=advance)
    assert set(contents(project)) >= {*came}
    assert came
    assert are_equal(project)
    assert run(project, Rule(keep_age=timedelta(days=90))) == (1, 0)
    assert are_equal(project)
