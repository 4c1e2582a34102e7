"""Who may read and write: private files, and what happens where one may not write."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import plan
from tests.store import old_files
from tests.store.records import opened, plan_store

NOBODY = 65_534
ROOT = Path(__file__).parents[2]

MODES = """
import os, sys
from pathlib import Path

os.umask(int(sys.argv[2], 8))

import anyio

from khive_persist import HookEvent, PlannerSession, open_store
from tests.factories import event, plan

async def main() -> None:
    root = Path(sys.argv[1])
    async with (
        open_store(PlannerSession, dir=root) as plans,
        open_store(HookEvent, dir=root) as events,
    ):
        await plans.save(plan())
        await events.save(event(tool="codex"))
        await plans.find()
        for path in sorted((root / ".khive").rglob("*")):
            if not path.is_symlink():
                print(oct(path.stat().st_mode), path.name)
        print(oct((root / ".khive").stat().st_mode), ".khive")

anyio.run(main)
"""


@pytest.mark.parametrize("umask", ["000", "022", "777"])
def test_everything_is_private_whatever_the_umask(umask: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MODES, str(tmp_path), umask],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    modes = {name: int(mode, 8) for mode, name in map(str.split, done.stdout.splitlines())}
    database = "planner_sessions.db"
    assert {database, f"{database}-wal", f"{database}-shm", f"{database}.lock"} <= set(modes)
    assert {"codex_hooks.db", "codex_hooks.db-wal", "redaction.key"} <= set(modes)
    wanted = {name: 0o40700 if stat.S_ISDIR(mode) else 0o100600 for name, mode in modes.items()}
    assert {name: oct(mode) for name, mode in modes.items()} == {
        name: oct(mode) for name, mode in wanted.items()
    }


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that others can reach."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can give files to somebody else")
    made = Path(tempfile.mkdtemp(prefix="khive-shared-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


WITHOUT_POWERS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]

AS_OTHER = """
import os, sys
from pathlib import Path

import anyio

from khive_persist.errors import KhiveError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import select
from tests.factories import plan
from tests.store.records import opened, plan_store

folder = Path(sys.argv[1])

async def save() -> None:
    store = plan_store(folder)
    try:
        await store.open()
        await store.save(plan())
        print("saved")
    except KhiveError as error:
        print(error.code)
    await store.close()

async def read() -> None:
    reader = Reader([(folder / PLANNER_SESSIONS.file, PLANNER_SESSIONS)])
    try:
        print(len(await reader.fetch(lambda source: select(source))))
    except KhiveError as error:
        print(error.code)
    await reader.close()

async def main() -> None:
    await save()
    await read()

anyio.run(main)
"""


def as_other(folder: Path, owner: int = NOBODY) -> list[str]:
    """What a save and a read end with for somebody who owns nothing here.

    That is root without its powers: another user could not read where root's own tests lie.
    """
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner, owner)
    done = subprocess.run(
        [*WITHOUT_POWERS, sys.executable, "-c", AS_OTHER, str(folder)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


async def fill(folder: Path) -> Path:
    async with opened(plan_store(folder)) as store:
        await store.save_many(plan() for _ in range(3))
    for path in folder.iterdir():
        path.chmod(0o644)
    return store.paths[0]


async def test_a_folder_that_is_read_only_is_read_and_not_written(shared: Path) -> None:
    await fill(shared)
    before = old_files.digest(shared)
    names = os.listdir(shared)
    assert as_other(shared) == ["store_unavailable", "3"]
    assert old_files.digest(shared) == before
    assert os.listdir(shared) == names


async def test_a_file_that_is_read_only_is_read_and_not_written(shared: Path) -> None:
    path = await fill(shared)
    shared.chmod(0o777)
    path.with_name(f"{path.name}.lock").chmod(0o666)
    before = old_files.digest(shared)
    assert as_other(shared) == ["store_unavailable", "3"]
    assert old_files.digest(shared) == before


async def test_an_old_file_that_is_read_only_is_read_and_not_written(shared: Path) -> None:
    path = shared / "planner_sessions.db"
    old_files.make(path)
    before = old_files.digest(shared)
    assert as_other(shared) == ["store_unavailable", str(len(old_files.ROWS))]
    assert old_files.digest(shared) == before


async def test_a_file_that_may_not_be_read_is_unavailable_and_not_damaged(shared: Path) -> None:
    path = await fill(shared)
    path.chmod(0o600)
    assert as_other(shared) == ["store_unavailable", "store_unavailable"]


async def test_a_folder_of_ones_own_is_written(shared: Path) -> None:
    await fill(shared)
    assert as_other(shared, os.getuid()) == ["saved", "4"]
