"""Copies of a team's projects, followed: what moved away, came late, or is nobody's to be shown."""

from pathlib import Path

import anyio
import asyncpg
import pytest

from khive_persist.errors import NotFoundError, StoreError
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.team import project_copies
from khive_persist.server.team.context import TeamContext
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.team import project_copy
from khive_persist.trust import marks
from tests.homes import known_projects
from tests.postgres.test_project_copies import (
    ANN,
    answer,
    answer_of_copy,
    opened,
    prompt,
    until_newer,
)
from tests.postgres.test_team_server import records_of

__all__ = ["known_projects"]

pytestmark = pytest.mark.postgres

EVENTS = "/v1/events?limit=100"


async def events_of(context: TeamContext, key: ProjectKey) -> str:
    async with context.copies.app(key) as app:
        return (await answer(app, context.access, EVENTS)).text


async def test_a_copy_is_none_of_this_users_projects(database: str, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as context:
        before = marks.marked_paths()
        await context.store.store([*records_of("ann"), prompt("own", purpose="own_kind")])
        (item,) = (await answer_of_copy(context, "/v1/own_kind")).json()["items"]
        assert item["id"] == "own"
        assert marks.marked_paths() == before


@pytest.mark.parametrize("way", ["renamed", "deleted"])
async def test_records_that_left_without_a_version_are_missed(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(project_copy, "_COUNT_SECONDS", 0.0)
    hashed = ProjectKey("7a2f", "c01d", "shop")
    about = hashed._asdict()
    records = [record._replace(**about) for record in records_of("ann")]
    async with opened(database, tmp_path) as context:
        await context.store.store([*records, prompt("stays", **about)])
        assert "ann-0-0" in await events_of(context, hashed)
        if way == "renamed":
            await context.store.store([r._replace(person="ann", version=9) for r in records])
        else:
            connection = await asyncpg.connect(database)
            await connection.execute("DELETE FROM khive.team_records WHERE id LIKE 'ann-%'")
            await connection.close()
        while "ann-0-0" in (text := await events_of(context, hashed)):
            await anyio.sleep(0.1)
        assert "stays" in text


async def test_what_is_committed_is_there_while_a_transaction_runs(
    database: str, tmp_path: Path
) -> None:
    change = (
        "UPDATE khive.team_records SET id = $2, written_by = pg_current_xact_id() WHERE id = $1"
    )
    async with opened(database, tmp_path) as context:
        await context.store.store([*records_of("ann"), prompt("gone")])
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute(change, "ann-0-0", "late")
            assert "gone" in (await answer_of_copy(context, EVENTS)).text
            await context.store.store([prompt("new"), prompt("gone", content=None, version=9)])
            text = await until_newer(context, EVENTS, "gone", is_there=False)
            assert "new" in text
            # What is seen a second time, a purge among it, is followed and not made anew.
            (folder,) = (tmp_path / ".khive" / "team-copies").iterdir()
            made = (folder / ".khive").stat().st_ino
            for number in range(2):
                await context.store.store([prompt(f"newer-{number}")])
                await until_newer(context, EVENTS, f"newer-{number}", is_there=True)
            assert (folder / ".khive").stat().st_ino == made
        await connection.close()
        # Its number is below those that were read already.
        assert "ann-1-0" in await until_newer(context, EVENTS, "late", is_there=True)


async def test_of_many_projects_those_that_nobody_looks_at_give_way(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_copies, "_MOST_COPIES", 2)
    keys = [ProjectKey("ann", f"machine-{n}", "shop") for n in range(4)]
    async with opened(database, tmp_path) as context:
        await context.store.store([prompt(key.machine, machine=key.machine) for key in keys])
        for key in keys:
            assert key.machine in await events_of(context, key)
            assert len(list((tmp_path / ".khive" / "team-copies").iterdir())) <= 2
        async with context.copies.app(keys[0]), context.copies.app(keys[1]):
            with pytest.raises(HTTPError) as refused:
                await events_of(context, keys[2])
            assert (refused.value.status, refused.value.code) == (503, "many_projects")
            with pytest.raises(NotFoundError):
                await events_of(context, ProjectKey("ann", "nowhere", "shop"))
            assert keys[0].machine in await events_of(context, keys[0])
        assert keys[2].machine in await events_of(context, keys[2])


async def test_a_copy_that_cannot_be_written_ends_no_server(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(project_copies, "_RENEW_SECONDS", 0.05)
    async with opened(database, tmp_path) as context, anyio.create_task_group() as tasks:
        await context.store.store(records_of("ann"))
        tasks.start_soon(context.copies.keep)
        async with context.copies.app(ANN):
            folder = tmp_path / ".khive" / "team-copies"
            folder.rename(tmp_path / "away")
            folder.touch()
            await context.store.store([prompt("new", purpose="new_kind")])
            while "copy_failed" not in caplog.text:
                await anyio.sleep(0.05)
        folder.unlink()
        (tmp_path / "away").rename(folder)
        (item,) = (await answer_of_copy(context, "/v1/new_kind")).json()["items"]
        assert item["id"] == "new"
        tasks.cancel_scope.cancel()


async def until_refused(context: TeamContext) -> None:
    """Ask until there is no answer: a copy of the last second is not renewed."""
    while True:
        await events_of(context, ANN)
        await anyio.sleep(0.1)


async def test_a_database_that_is_away_is_no_empty_project(
    server: str, database: str, tmp_path: Path
) -> None:
    name = database.partition("?")[0].rpartition("/")[2]
    async with opened(database, tmp_path) as context:
        await context.store.store(records_of("ann"))
        assert "ann-0-0" in await events_of(context, ANN)
        connection = await asyncpg.connect(server)
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await connection.fetch(ended, name)
        with pytest.raises(StoreError):
            await until_refused(context)
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await connection.close()
        assert "ann-0-0" in await events_of(context, ANN)
