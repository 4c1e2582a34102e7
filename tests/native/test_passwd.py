"""The home directory of the passwd entry, where the environment names none."""

import os
import subprocess
from pathlib import Path

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.compiled_hook import compiled

OTHER_PASSWD = Path(__file__).with_name("passwd_link.c")


@pytest.mark.parametrize("is_link", [False, True])
def test_a_passwd_that_is_a_link_names_the_home(is_link: bool, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    passwd = tmp_path / "passwd"
    passwd.write_text(f"other:x:1{os.geteuid()}:0::/:\nme:x:{os.geteuid()}:0::{home}:/bin/sh\n")
    link = tmp_path / "link"
    link.symlink_to(passwd)
    done = subprocess.run(
        [str(compiled(("openat",), OTHER_PASSWD)), "--tool", "codex"],
        input=b"{}", capture_output=True, cwd=folder, check=False,
        env={"PASSWD": str(link if is_link else passwd)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(Spool(Project(home)).events()) == 1
