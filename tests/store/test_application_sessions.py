"""Sessions of applications: each update makes a version, and of many at once one does."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from khive_persist import ApplicationSession, Measurement, Score, open_store, verify
from khive_persist.errors import (
    CompletedError,
    ConflictError,
    InvalidRecordError,
    NotFoundError,
    StoreBusyError,
    VersionError,
)
from khive_persist.models.node import Node
from khive_persist.project import Project
from khive_persist.store.application_sessions import ApplicationSessionStore
from khive_persist.store.hook_events import HookEventStore
from khive_persist.store.sqlite import write_lock

FIELDS = {"session_id": "s1", "participant": "ann", "scenario": "fire", "group": "a"}
AT_ONCE = 50
# Updates one session to the end of its numbers, each for the version that it has read.


@pytest.fixture
async def sessions(project: Project) -> AsyncIterator[ApplicationSessionStore]:
    async with open_store(ApplicationSession, dir=project.root) as store:
        yield store


def fields_of(record: Node) -> dict[str, Any]:
    """Also those that the class does not name."""
    return dict(record.content)


def without_times(session: ApplicationSession) -> dict[str, Any]:
    return {name: value for name, value in fields_of(session).items() if not name.endswith("_at")}


async def test_a_session_begins_active_with_its_first_version(
    sessions: ApplicationSessionStore,
) -> None:
    before = datetime.now(UTC)
    session, is_new = await sessions.start(FIELDS)
    assert is_new
    assert session.id == "s1"
    assert without_times(session) == {**FIELDS, "status": "active", "version": 1}
    assert before <= session.created_at <= datetime.now(UTC)
    assert session.content["started_at"] == session.created_at.strftime("%Y-%m-%d %H:%M:%S.%f")
    assert await sessions.get("s1") == session
    unnamed = (await sessions.start({"group": "b"})).session
    assert unnamed.content["session_id"] == unnamed.id
    assert await sessions.count() == 2


@pytest.mark.parametrize("more", [{}, {"started_at": "2026-11-01T10:00:00+01:00"}])
async def test_the_same_session_begun_again_is_no_other(
    more: dict[str, str], sessions: ApplicationSessionStore
) -> None:
    first = await sessions.start(FIELDS | more)
    assert await sessions.start(FIELDS | more) == (first.session, False)
    for other in ({"group": "b"}, {"own": 1}, {"started_at": "2026-11-02"}):
        with pytest.raises(ConflictError) as raised:
            await sessions.start(FIELDS | more | other)
        assert raised.value.version == 1
    assert await sessions.find() == [first.session]
    updated = await sessions.update("s1", {"step": 1, "group": None}, 1)
    assert await sessions.start(FIELDS | more) == (updated, False)
    with pytest.raises(ConflictError):
        await sessions.start(FIELDS | more | {"step": 2})


async def test_fifty_who_begin_one_session_begin_one(sessions: ApplicationSessionStore) -> None:
    new = []

    async def begin() -> None:
        new.append((await sessions.start(FIELDS)).is_new)

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(begin)
    assert Counter(new) == {True: 1, False: AT_ONCE - 1}


async def test_an_update_is_a_merge_patch_and_the_next_version(
    sessions: ApplicationSessionStore,
) -> None:
    # The examples of RFC 7396, section 3, those whose members are objects.
    begun: dict[str, Any] = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
    }
    begun |= {"tags": ["example", "sample"], "content": "This will be unchanged"}
    patch: dict[str, Any] = {
        "title": "Hello!",
        "phoneNumber": "+01-123-456-7890",
        "tags": ["example"],
    }
    patch |= {"author": {"familyName": None}}
    await sessions.start(FIELDS | begun)
    updated = await sessions.update("s1", patch, 1)
    assert without_times(updated) == {
        **FIELDS,
        "status": "active",
        "version": 2,
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }
    assert updated.content["updated_at"] > updated.content["started_at"]
    nested = await sessions.update("s1", {"author": "Joe", "a": {"b": {"c": None, "d": 1}}}, 2)
    assert (fields_of(nested)["author"], fields_of(nested)["a"]) == ("Joe", {"b": {"d": 1}})
    assert await sessions.get("s1") == nested


async def test_an_update_for_another_version_changes_nothing(
    sessions: ApplicationSessionStore,
) -> None:
    await sessions.start(FIELDS)
    now = await sessions.update("s1", {"step": 1}, 1)
    for version in (0, 1, 3):
        with pytest.raises(VersionError) as raised:
            await sessions.update("s1", {"step": 2}, version)
        assert raised.value.version == 2
    assert await sessions.get("s1") == now
    with pytest.raises(NotFoundError):
        await sessions.update("s2", {}, 1)


async def test_of_fifty_updates_of_a_version_one_makes_the_next(
    sessions: ApplicationSessionStore,
) -> None:
    await sessions.start(FIELDS)
    for version in (1, 2, 3):
        won: list[int] = []
        refused: list[int | None] = []

        async def update(
            number: int, version: int, won: list[int], refused: list[int | None]
        ) -> None:
            try:
                await sessions.update("s1", {"winner": number}, version)
            except VersionError as error:
                refused.append(error.version)
            else:
                won.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(AT_ONCE):
                tasks.start_soon(update, number, version, won, refused)
        assert len(won) == 1
        assert refused == [version + 1] * (AT_ONCE - 1)
        fields = fields_of(await sessions.get("s1"))
        assert (fields["version"], fields["winner"]) == (version + 1, won[0])


async def test_no_update_of_two_processes_is_lost(
    sessions: ApplicationSessionStore, project: Project
) -> None:
    await sessions.start(FIELDS)
    each = 20
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.programs.session_updater",
             str(project.root), "s1", name, str(each)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in "ab"
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=50)
        assert writer.returncode == 0
    session = await sessions.get("s1")
    assert session.content["version"] == 1 + 2 * each
    took = fields_of(session)["took"]
    for name in "ab":
        assert [one for one in took if one[0] == name] == [f"{name} {n}" for n in range(each)]
    assert (await verify(ApplicationSession, dir=project.root)).is_equal


async def test_a_completed_session_takes_no_more_until_it_is_active_again(
    sessions: ApplicationSessionStore,
) -> None:
    await sessions.start(FIELDS)
    done = await sessions.complete("s1", {"outcome": "passed", "summary": {"points": 8}})
    assert without_times(done) == {
        **FIELDS,
        "status": "completed",
        "version": 2,
        "outcome": "passed",
        "summary": {"points": 8},
    }
    assert done.content["completed_at"] >= done.content["started_at"]
    # Whoever does not know whether he was heard says it again.
    assert await sessions.complete("s1", {"outcome": "passed"}) == done
    assert await sessions.complete("s1", {"outcome": "passed"}, version=1) == done
    for change in ({"outcome": "failed"}, {"own": 1}):
        with pytest.raises(CompletedError) as raised:
            await sessions.complete("s1", change)
        assert raised.value.version == 2
        with pytest.raises(CompletedError):
            await sessions.update("s1", change, 2)
    active = await sessions.update("s1", {"status": "active", "step": 2}, 2)
    assert (active.content["status"], active.content["version"]) == ("active", 3)
    assert "completed_at" not in active.content
    assert active.content["outcome"] == "passed"
    with pytest.raises(VersionError):
        await sessions.complete("s1", {}, version=2)
    assert (await sessions.complete("s1", {}, version=3)).content["version"] == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 3},
        {"updated_at": "2026-11-01"},
        {"completed_at": "2026-11-01"},
        {"status": "completed"},
        {"status": "paused"},
        {"started_at": "yesterday"},
        {"participant": 5},
        {"big": float("nan")},
    ],
)
async def test_wrong_fields_are_refused_and_change_nothing(
    fields: dict[str, Any], sessions: ApplicationSessionStore
) -> None:
    with pytest.raises(InvalidRecordError):
        await sessions.start(FIELDS | fields)
    assert await sessions.count() == 0
    begun = (await sessions.start(FIELDS)).session
    with pytest.raises(InvalidRecordError):
        await sessions.update("s1", fields, 1)
    with pytest.raises(InvalidRecordError):
        await sessions.update("s1", {"session_id": "s2"}, 1)
    assert await sessions.get("s1") == begun


async def test_an_id_that_is_a_secret_is_refused(sessions: ApplicationSessionStore) -> None:
    with pytest.raises(InvalidRecordError, match="looks like a secret"):
        await sessions.start({"session_id": "token=ghp_" + "a1B2" * 9})
    secret = {"note": "password=hunter2hunter2"}
    kept = await sessions.start(FIELDS | secret)
    assert "hunter2" not in json.dumps(kept.session.content)
    assert not (await sessions.start(FIELDS | secret)).is_new


async def test_what_a_change_raises_leaves_all_as_it_was(
    sessions: ApplicationSessionStore, project: Project
) -> None:
    begun = (await sessions.start(FIELDS)).session

    def refuse(there: ApplicationSession | None) -> ApplicationSession:
        assert there == begun
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await sessions.revise("s1", refuse)
    assert await sessions.revise("s1", lambda _: None) == begun
    assert await sessions.revise("none", lambda _: None) is None
    assert await sessions.find() == [begun]
    assert (await verify(ApplicationSession, dir=project.root)).is_equal


async def test_a_record_of_several_files_has_no_revision(events: HookEventStore) -> None:
    with pytest.raises(InvalidRecordError, match="several files"):
        await events.revise("e1", lambda there: there)


async def test_a_locked_file_refuses_an_update_in_time(project: Project) -> None:
    async with open_store(ApplicationSession, dir=project.root, busy_timeout_seconds=0.2) as store:
        begun = (await store.start(FIELDS)).session
        with (
            write_lock.held(write_lock.lock_path(store.paths[0]), 5),
            pytest.raises(StoreBusyError),
        ):
            await store.update("s1", {"step": 1}, 1)
        assert await store.get("s1") == begun


async def test_the_record_s_own_calls(sessions: ApplicationSessionStore) -> None:
    session = await ApplicationSession.start(FIELDS)
    second = await session.update({"step": 1})
    with pytest.raises(VersionError):
        await session.update({"step": 1})
    assert (await second.complete({"outcome": "passed"})).content["version"] == 3
    await ApplicationSession(content={"session_id": "s2", "participant": "ann"}).save()
    assert [s.id for s in await sessions.get_by_participant("ann")] == ["s1", "s2"]
    assert [s.id for s in await sessions.get_by_group("a", "fire")] == ["s1"]
    assert await sessions.get_by_group("a", "flood") == []
    with pytest.raises(ValidationError, match="its session_id"):
        ApplicationSession(id="s3", content={"session_id": "s4"})


async def test_others_changes_are_told_from_ones_own(
    sessions: ApplicationSessionStore, project: Project
) -> None:
    await sessions.start(FIELDS)
    anybody, others = sessions.changes(), await sessions.changes_of_others()
    assert (sessions.changes(), await sessions.changes_of_others()) == (anybody, others)
    await sessions.update("s1", {"step": 1}, 1)
    assert sessions.changes() != anybody
    assert await sessions.changes_of_others() == others
    anybody = sessions.changes()
    async with open_store(ApplicationSession, dir=project.root) as second:
        await second.update("s1", {"step": 2}, 2)
    assert sessions.changes() != anybody
    assert await sessions.changes_of_others() != others
    anybody, others = sessions.changes(), await sessions.changes_of_others()
    with closing(sqlite3.connect(sessions.paths[0])) as connection, connection:
        connection.execute("UPDATE application_sessions SET embedding = '[1]'")
    assert sessions.changes() != anybody
    assert await sessions.changes_of_others() != others


async def test_a_replaced_file_is_a_change_of_others(
    sessions: ApplicationSessionStore, tmp_path: Path
) -> None:
    await sessions.start(FIELDS)
    anybody, others = sessions.changes(), await sessions.changes_of_others()
    path = sessions.paths[0]
    path.rename(tmp_path / "away.db")
    assert sessions.changes() != anybody
    assert await sessions.changes_of_others() != others


@pytest.mark.parametrize(("record", "time"), [(Measurement, "measured_at"), (Score, "scored_at")])
async def test_a_series_is_in_order_of_its_own_times(
    record: type[Measurement] | type[Score], time: str, project: Project
) -> None:
    async with open_store(record, dir=project.root) as store:
        for value, at in ((2, "2026-11-01T11:00:00+01:00"), (1.5, "2026-11-01 09:00"), (3, None)):
            content = {"session_id": "s1", "name": "pulse", "value": value}
            content |= {} if at is None else {time: at}
            await record.model_validate({"content": content}).save()
        await record.model_validate(
            {"content": {"session_id": "s1", "name": "other", "value": 0}}
        ).save()
        series = await store.get_by_session("s1", "pulse")
        assert [one.content["value"] for one in series] == [1.5, 2, 3]
        assert type(series[1].content["value"]) is int
        assert series[1].created_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
        assert fields_of(series[1])[time] == "2026-11-01 10:00:00.000000"
        assert len(await store.get_by_session("s1")) == 4
        assert await store.get_by_session("s2") == []
    assert (await verify(record, dir=project.root)).is_equal


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "72", True, None, [1]])
def test_a_value_is_a_finite_number(value: Any) -> None:
    for record in (Measurement, Score):
        with pytest.raises(ValidationError, match="finite number"):
            record.model_validate({"content": {"session_id": "s", "name": "n", "value": value}})
