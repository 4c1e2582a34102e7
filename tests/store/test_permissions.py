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


@pytest.mark.parametrize("umask", ["000", "022", "777"])
def test_everything_is_private_whatever_the_umask(umask: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.file_modes", str(tmp_path), umask],
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


def as_other(folder: Path, owner: int = NOBODY) -> list[str]:
    """What a save and a read end with for somebody who owns nothing here.

    That is root without its powers: another user could not read where root's own tests lie.
    """
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner, owner)
    done = subprocess.run(
        [*WITHOUT_POWERS, sys.executable, "-m", "tests.programs.other_user", str(folder)],
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
