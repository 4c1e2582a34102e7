"""Folders that cannot be written to, also where the tests run as root."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# What lets root write to what nobody may write to.
_POWERS = "-dac_override,-dac_read_search,-fowner"
ROOT = Path(__file__).parents[1]


def without_powers(*words: str) -> list[str]:
    """The command line of Python with these words, in a process that must keep to permissions."""
    python = [sys.executable, *words]
    if os.geteuid() != 0:
        return python
    if shutil.which("setpriv") is None:
        pytest.skip("root cannot give up its powers here")
    return ["setpriv", "--bounding-set", _POWERS, *python]


@contextmanager
def read_only(folder: Path) -> Iterator[dict[str, tuple[int, int]]]:
    """Nobody writes to a folder for a while; what lies there, with its size and time."""
    present = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in present if not path.is_symlink()}
    for path in modes:
        path.chmod(modes[path] & 0o555)
    try:
        yield listing(folder)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in a folder, with its size and time."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def run(*words: str) -> str:
    """What Python prints with these words, in a process that must keep to permissions."""
    done = subprocess.run(
        without_powers(*words),
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
