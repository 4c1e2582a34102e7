"""The target of an export is there as a whole, or as it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from khive_persist.errors import InvalidFileError
from khive_persist.project import Project
from khive_persist.transfer.export import FORMS, Form
from khive_persist.transfer.target import replacing
from tests.exchange.rows import put, row, write


@pytest.mark.parametrize("form", FORMS)
def test_a_killed_export_leaves_the_target_as_it_was(
    project: Project, tmp_path: Path, form: Form
) -> None:
    put(project, [row(str(number)) for number in range(300)])
    target = tmp_path / "target"
    target.write_text("old")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.programs.waiting_export",
         str(project.root), str(target), form],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"256\n"
        assert target.read_text() == "old"
        process.send_signal(signal.SIGKILL)
    assert target.read_text() == "old"


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_export_leaves_nothing(project: Project, tmp_path: Path, form: Form) -> None:
    path = put(project, [row(str(number), '{"a":"%s"}' % ("x" * 5_000)) for number in range(600)])
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 : -16_384] = b"\xff" * (len(damaged) // 2 - 16_384)
    path.write_bytes(damaged)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(RuntimeError):
        write(project, folder / "target", form)
    assert os.listdir(folder) == []


def test_what_is_there_stays_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(InvalidFileError, match="--force"):
        with replacing(target, force=False):
            pass
    with replacing(target, force=True) as file:
        file.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["target"]


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(InvalidFileError, match="is there already"):
        with replacing(target, force=False):
            target.write_text("old")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["target"]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    with replacing(tmp_path / "link", force=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_no_device_and_no_folder_is_written_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InvalidFileError, match="is not a file"):
            with replacing(target, force=True):
                pass
    with pytest.raises(InvalidFileError, match="no directory"):
        with replacing(tmp_path / "missing" / "x", force=True):
            pass


def test_no_file_of_the_project_is_written_over(project: Project, tmp_path: Path) -> None:
    path = put(project, [row("a")])
    before = path.read_bytes()
    (tmp_path / "link").symlink_to(project.khive)
    for target in (path, project.khive / "new.json", tmp_path / "link" / "new.json"):
        with pytest.raises(InvalidFileError, match=r"is there already|is in \.khive"):
            write(project, target, "json")
    assert path.read_bytes() == before
