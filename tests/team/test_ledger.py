"""The ledger's file: one writes at a time, and what is put down before it is sent is synced."""

import os
from contextlib import suppress
from threading import Thread

import pytest

from khive_persist.errors import StoreBusyError
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.statements import scalar
from khive_persist.store.sqlite.team.ledger import Entry, Place, Sender
from khive_persist.store.sqlite.team.ledger_file import ledger_file, reading
from khive_persist.team import run
from tests.team.team_server import TeamServer

PLACE = Place("claude_hooks", "e1", 1, "s1")


def test_nobody_writes_while_another_does(project: Project) -> None:
    lock = write_lock.lock_path(project.team_ledger)
    with (
        ledger_file(project) as file,
        write_lock.held(lock, 1),
        pytest.raises(StoreBusyError),
        file.transaction(0.1),
    ):
        pass


def test_a_version_that_is_put_down_survives_a_power_loss(project: Project) -> None:
    with ledger_file(project) as file, file.transaction(1) as ledger:
        assert scalar(ledger._connection, "PRAGMA synchronous") == 2
        assert scalar(ledger._connection, "PRAGMA secure_delete") == 1


def test_versions_grow_and_what_is_purged_leaves_nothing_behind(project: Project) -> None:
    with ledger_file(project) as file, file.transaction(1) as ledger:
        number = ledger.sender(Sender("m", "p", is_hashed=True))
        assert ledger.sender(Sender("m", "p", is_hashed=True)) == number
        first = ledger.next_version(None)
        entry = Entry(PLACE._replace(sender=number), first, "metrics", None, b"1", None, "now")
        ledger.put([entry])
        assert ledger.next_version(first) == first + 1
        assert ledger.withdraw_session("s1", "off") == 1
        (due,) = ledger.due(9)
        assert (due.version, due.withdrawal) == (first + 1, "off")
        # A purge that comes before it was taken out changes why, and no version.
        assert ledger.withdraw_session("s1", "purged") == 1
        (due,) = ledger.due(9)
        assert (due.version, due.withdrawal) == (first + 1, "purged")
        ledger.drop([due])
        assert ledger.entries("claude_hooks", ["e1"]) == []
        assert ledger.next_version(None) > first + 1


def test_what_a_transaction_did_is_undone_where_it_fails(project: Project) -> None:
    with ledger_file(project) as file:
        with suppress(RuntimeError), file.transaction(1) as ledger:
            ledger.switch_off("s1")
            raise RuntimeError
        with file.transaction(1) as ledger:
            assert ledger.off_sessions() == []


def test_entries_come_in_whole_ids(project: Project) -> None:
    with ledger_file(project) as file, file.transaction(1) as ledger:
        entries = [
            Entry(Place("plans", id, sender, "s"), 1, "all", None, b"")
            for id in ("a", "b", "c")
            for sender in (1, 2)
        ]
        ledger.put(entries)
        assert [e.place.id for e in ledger.entries_after("plans", "", 3)] == ["a", "a"]
        assert [e.place.id for e in ledger.entries_after("plans", "a", 1)] == ["b", "b"]
        assert [e.place.id for e in ledger.entries_after("plans", "b", 9)] == ["c", "c"]


def test_one_process_waits_for_the_time_of_the_next_push(
    project: Project, server: TeamServer
) -> None:
    project.local_config.write_text(f"[team]\nurl = '{server.url}'\nform = 'metrics'\n")
    os.close(write_lock.acquire(project.khive / run.LOCK, 1))
    os.utime(project.khive / run.LOCK)
    with write_lock.held(project.khive / "push_waiting.lock", 1):
        second = Thread(target=run._is_over, args=(project,), daemon=True)
        second.start()
        second.join(20)
        assert not second.is_alive()


def test_a_ledger_is_read_where_there_is_one(project: Project) -> None:
    with reading(project.team_ledger) as ledger:
        assert ledger is None
    with ledger_file(project) as file, file.transaction(1) as ledger:
        ledger.switch_off("s1")
    with reading(project.team_ledger) as ledger:
        assert ledger is not None
        assert [session.session_id for session in ledger.off_sessions()] == ["s1"]
