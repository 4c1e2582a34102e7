"""The verbs of the command line, called from a program."""

import asyncio
import io
import os
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

import khive_persist as khive
from khive_persist import HookEvent, Node, PlannerSession, Purpose, field, open_store
from khive_persist.capture.spool import Spool
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import Project
from tests.factories import event, plan
from tests.payloads import sample_payloads


class Sailing(Node):
    purpose: ClassVar[Purpose] = khive.purpose(
        "sailings", "trips", view="seas", fields=("sea",), indexes=(("sea",),), document="trip"
    )


@pytest.fixture
async def filled(project: Project) -> Project:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save_many(plan(f"plan-{n}", complexity="complex") for n in range(5))
    async with open_store(HookEvent, dir=project.root) as events:
        await events.save_many(event("stop", session_id=f"session-{n}") for n in range(5))
    async with open_store(Sailing, dir=project.root) as sailings:
        await sailings.save_many(
            Sailing(id=f"trip-{n}", content={"sea": f"sea{n}", "session_id": f"session-{n}"})
            for n in range(5)
        )
    return project


async def count(project: Project, record: type[Node]) -> int:
    async with open_store(record, dir=project.root) as store:
        return await store.count()


async def test_a_backup_brings_everything_back(filled: Project, tmp_path: Path) -> None:
    where = str(tmp_path / "backups")
    full = await khive.create_backup(dir=filled.root, destination=where)
    assert full is not None
    async with open_store(PlannerSession, dir=filled.root) as plans:
        await plans.save(plan("later"))
    part = await khive.create_backup(dir=filled.root, destination=where, since="latest")
    assert part is not None
    assert part.parent == full.id
    found = await khive.list_backups(dir=filled.root, destination=where)
    assert [*found.manifests] == [full.id, part.id]
    checked = await khive.verify_backups(dir=filled.root, destination=where)
    assert [one.problems for one in checked] == [(), ()]

    bare = Project(tmp_path / "bare")
    bare.root.mkdir()
    done = await khive.restore_backup(dir=bare.root, destination=where)
    assert (done.manifest.id, done.set_aside) == (part.id, None)
    assert await count(bare, PlannerSession) == 6
    assert Sailing.purpose in known_purposes(bare)
    assert (await khive.verify(dir=bare.root)).is_equal

    older = await khive.restore_backup(full.id, dir=bare.root, destination=where)
    assert older.set_aside is not None
    assert await count(bare, PlannerSession) == 5
    gone = await khive.prune_backups(dir=filled.root, destination=where, keep_count=0, dry_run=True)
    assert set(gone) == {full.id, part.id}
    assert await khive.prune_backups(dir=filled.root, destination=where, keep_count=0) == gone
    assert not (await khive.list_backups(dir=filled.root, destination=where)).manifests


async def test_a_backup_that_is_not_due_is_none(filled: Project) -> None:
    with pytest.raises(khive.InvalidQueryError, match="no schedule"):
        await khive.create_backup(dir=filled.root, only_if_due=True)
    filled.local_config.write_text("[backup]\nevery_hours = 1\n")
    assert await khive.create_backup(dir=filled.root, only_if_due=True) is not None
    assert await khive.create_backup(dir=filled.root, only_if_due=True) is None
    with pytest.raises(khive.InvalidQueryError, match="if due"):
        await khive.create_backup(dir=filled.root, only_if_due=True, since="latest")


async def test_a_cancelled_backup_is_not_there(filled: Project) -> None:
    async with open_store(PlannerSession, dir=filled.root) as plans:
        await plans.save_many(plan(f"s{n}", metadata={"text": os.urandom(4096).hex()})
                              for n in range(500))  # fmt: skip
    task = asyncio.create_task(khive.create_backup(dir=filled.root))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (await khive.list_backups(dir=filled.root)).manifests


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
async def test_an_export_is_imported_elsewhere(
    filled: Project, tmp_path: Path, ending: str
) -> None:
    target = tmp_path / f"all.{ending}"
    assert await khive.export_records(target, dir=filled.root) == 15
    with pytest.raises(khive.InvalidFileError):
        await khive.export_records(target, dir=filled.root)
    other = Project(tmp_path / "other")
    other.root.mkdir()
    done = await khive.import_records(target, Sailing, dir=other.root)
    assert (done.purposes["planner_sessions"].new, done.refused) == (5, 0)
    assert await count(other, HookEvent) == 5
    assert await count(other, Sailing) == 5
    assert (await khive.verify(dir=other.root)).is_equal
    again = await khive.import_records(str(target), dir=other.root)
    assert again.purposes["sailings"].same == 5


async def test_an_export_of_some(filled: Project, tmp_path: Path) -> None:
    target = tmp_path / "some.txt"
    with pytest.raises(khive.InvalidFileError, match="format"):
        await khive.export_records(target, dir=filled.root)
    wanted = [field("sea") == "sea3"]
    number = await khive.export_records(
        target, Sailing, filters=wanted, form="jsonl", dir=filled.root
    )
    assert number == 1
    file = io.BytesIO(target.read_bytes())
    assert (await khive.import_records(file, dir=filled.root)).purposes["sailings"].same == 1


@pytest.mark.parametrize("part", ["", ".khive", ".khive/sessions"])
@pytest.mark.parametrize("is_known", [True, False])
async def test_kinds_of_another_project_come_in_with_their_definition(
    filled: Project, tmp_path: Path, part: str, is_known: bool
) -> None:
    other = Project(tmp_path / "other")
    other.root.mkdir()
    if is_known:
        async with open_store(Sailing, dir=other.root) as sailings:
            await sailings.save(Sailing(id="here", content={"sea": "north"}))
    done = await khive.import_records(filled.root / part, dir=other.root)
    assert (done.purposes["sailings"].new, done.refused) == (5, 0)
    assert Sailing.purpose in known_purposes(other)
    assert (await khive.verify(dir=other.root)).is_equal
    names = {path.name.partition("_2")[0] for path in other.sessions.glob("trip*")}
    assert names == {"trip"}
    with closing(sqlite3.connect(other.database("sailings.db"))) as connection:
        made = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert {"trips", "trips_sea", "seas"} <= made
    assert await count(other, Sailing) == 5 + is_known


async def test_a_database_of_a_refused_name_needs_a_word(filled: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / ".khive"
    elsewhere.mkdir(parents=True)
    filled.database("sailings.db").rename(elsewhere / "change_log.db")
    done = await khive.import_records(elsewhere, dir=filled.root)
    assert (done.purposes, done.refused) == ({}, 5)
    assert "does not say what it is" in done.listed[0][1]


async def test_what_is_pruned_and_purged_is_gone_in_both_copies(filled: Project) -> None:
    would = await khive.prune(Sailing, keep_count=2, dry_run=True, dir=filled.root)
    assert (would["sailings"].removed, [*would]) == (3, ["sailings"])
    assert await count(filled, Sailing) == 5
    assert (await khive.prune(Sailing, keep_count=2, dir=filled.root))["sailings"].removed == 3
    assert await count(filled, Sailing) == 2
    assert (await khive.prune(keep_age=timedelta(days=1), dir=filled.root)).keys() > {"sailings"}
    with pytest.raises(khive.InvalidQueryError, match="what is kept"):
        await khive.prune(dir=filled.root)
    done = await khive.purge("session-4", dir=filled.root)
    assert (done.removed["claude_hooks"], done.left_in) == (1, [])
    assert (await khive.purge("session-4", dir=filled.root)).removed == {}
    with pytest.raises(khive.InvalidRecordError):
        await khive.purge("", dir=filled.root)
    assert (await khive.verify(dir=filled.root)).is_equal


async def test_a_secret_that_was_stored_is_found(project: Project) -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLQ"
    project.local_config.write_text("[redaction]\nenabled = false\n")
    async with open_store(Sailing, dir=project.root) as sailings:
        await sailings.save(Sailing(content={"sea": secret}))
    found = await khive.rescan(dry_run=True, dir=project.root)
    assert (found["sailings"].changed, sum(found["sailings"].kinds.values())) == (1, 1)
    assert (await khive.rescan(dir=project.root))["sailings"].changed == 1
    async with open_store(Sailing, dir=project.root) as sailings:
        assert secret not in str(await sailings.find())
    assert (await khive.rescan(dir=project.root))["sailings"].changed == 0


async def test_transcripts_are_synced(project: Project) -> None:
    sample = next((Path(__file__).parents[1] / "transcripts" / "samples").rglob("*.jsonl"))
    done = await khive.sync(sample, project.config, dir=project.root)
    assert sum(synced.new for _, synced in done.transcripts) > 0
    assert [path for path, _ in done.failed] == [project.config]
    again = await khive.sync(str(sample), dir=project.root)
    assert {synced.new for _, synced in again.transcripts} == {0}
    assert (await khive.sync(dir=project.root)).failed == []


async def test_sql_reads_all_files_and_writes_none(filled: Project) -> None:
    for payload in sample_payloads("codex")[:3]:
        Spool(filled).accept("codex", payload)
    result = await khive.query_sql("SELECT count(*) AS n, 1 AS n FROM events", dir=filled.root)
    assert result.columns == ["n", "n_2"]
    assert result.dicts() == [{"n": 8, "n_2": 1}]
    named = await khive.query_sql(
        "SELECT sea FROM seas WHERE sea > :least ORDER BY sea", {"least": "sea2"}, dir=filled.root
    )
    assert named.rows == [("sea3",), ("sea4",)]
    wrong = ("DELETE FROM trips", "SELECT 1; SELECT 2", "SELECT ?", "nonsense", "CREATE TABLE x(y)",
             "ATTACH 'x' AS y", "PRAGMA user_version = 9")  # fmt: skip
    for sql in wrong:
        with pytest.raises(khive.InvalidQueryError):
            await khive.query_sql(sql, dir=filled.root)
    assert await count(filled, Sailing) == 5


async def test_a_cancelled_await_stops_the_sql(project: Project) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT sum(n) FROM c"
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await khive.query_sql(endless, dir=project.root)
    # Threads that all share may wait for more work; none is left in SQLite.
    assert threading.active_count() <= before + 3


async def test_where_no_project_is_each_says_so(tmp_path: Path) -> None:
    calls = (
        khive.create_backup,
        khive.prune,
        khive.rescan,
        khive.sync,
        khive.verify,
        partial(khive.purge, "session"),
        partial(khive.rebuild, "mirror"),
        partial(khive.query_sql, "SELECT 1"),
        partial(khive.export_records, tmp_path / "x.csv"),
    )
    for call in calls:
        with pytest.raises(khive.ProjectError, match="is not there"):
            await call(dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
