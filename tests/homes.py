"""Homes that know the places which were made for several tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def known_projects(home: Path, first_home: Path) -> None:
    """Let a test's own home know the places that were made for several tests."""
    khive = home / ".khive"
    khive.mkdir(mode=0o700)
    marks = first_home / ".khive" / "marks"
    marks.mkdir(mode=0o700, parents=True, exist_ok=True)
    (khive / "marks").symlink_to(marks)
    key = first_home / ".khive" / "key"
    if not key.exists():
        key.write_bytes(os.urandom(32))
    (khive / "key").write_bytes(key.read_bytes())
