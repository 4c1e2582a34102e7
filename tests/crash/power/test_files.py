"""Files that are written as a whole: after a loss of power the old one is there or the new one."""

from pathlib import Path

import pytest

from khive_persist.project import Project, write_private
from khive_persist.trust import macs, marks
from tests.crash.power.disk_log import Step
from tests.crash.power.losses import acknowledged, lose_power, script

OLD = b"old" * 100
NEW = b"new" * 2000
WRITE = {
    "private": "from khive_persist.project import write_private\nwrite_private(path, new)",
    "export": """
from khive_persist.transfer.target import replacing
with replacing(path, force=True) as file:
    file.write(new)
""",
    "object of a backup": """
from khive_persist.maintenance.backup.folder import Folder
Folder(path.parent.parent).write(path.parent.name, path.name, lambda file: file.write(new))
""",
    "settings of a tool": """
from khive_persist.capture.hook_config.settings_file import SettingsFile
assert SettingsFile(path, str)._write(old, new)
""",
}
FIRST = {
    "export": "from khive_persist.transfer.target import replacing\n"
    "with replacing(path, force=False) as file:\n    file.write(new)",
    "object of a backup": WRITE["object of a backup"],
    "private": WRITE["private"],
}
REST = "\nsay('done')\n"


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def parts(path: Path, code: str) -> tuple[str, ...]:
    return (f"path, old, new = Path({str(path)!r}), {OLD!r}, {NEW!r}\n", code, REST)


@pytest.mark.parametrize("kind", WRITE)
def test_an_old_file_or_a_new_one(
    root: Path, project: Project, thoroughly: bool, kind: str
) -> None:
    path = project.root / "folder" / "20261101T000000000Z-0000" / "file"
    path.parent.mkdir(parents=True)
    path.write_bytes(OLD)

    def check(done: list[Step]) -> None:
        assert content(path) in ((NEW,) if acknowledged(done) else (OLD, NEW))

    assert lose_power(root, script(project, *parts(path, WRITE[kind])), thoroughly, check) >= 3


@pytest.mark.parametrize("kind", FIRST)
def test_a_new_file_or_none(root: Path, project: Project, thoroughly: bool, kind: str) -> None:
    folder = project.root / "folder"
    path = folder / "20261101T000000000Z-0000" / "file"
    (folder if "backup" in kind else path.parent).mkdir(parents=True)

    def check(done: list[Step]) -> None:
        assert content(path) in ((NEW,) if acknowledged(done) else (b"", NEW))

    assert lose_power(root, script(project, *parts(path, FIRST[kind])), thoroughly, check) >= 3


def test_settings_of_a_tool_that_go(root: Path, project: Project, thoroughly: bool) -> None:
    path = project.root / "settings.json"
    path.write_bytes(OLD)
    code = """
from khive_persist.capture.hook_config.settings_file import SettingsFile
assert SettingsFile(path, str)._write(old, None)
"""

    def check(done: list[Step]) -> None:
        assert content(path) in ((b"",) if acknowledged(done) else (b"", OLD))

    lose_power(root, script(project, *parts(path, code)), thoroughly, check)


FILE_OF_OURS = """
from khive_persist.capture.hook_config.own_files import OwnHookFiles
from khive_persist.tools import TOOLS
files = OwnHookFiles(path.parent, "pi", TOOLS["pi"].registration, inside=None)
"""


def test_an_old_file_of_ours_or_a_new_one(root: Path, project: Project, thoroughly: bool) -> None:
    path = project.root / "plugin.js"
    path.write_bytes(OLD)

    def check(done: list[Step]) -> None:
        assert content(path) in ((NEW,) if acknowledged(done) else (OLD, NEW))

    code = f"{FILE_OF_OURS}files._write(path, new.decode())\n"
    assert lose_power(root, script(project, *parts(path, code)), thoroughly, check) >= 3


def test_a_file_of_ours_that_goes(root: Path, project: Project, thoroughly: bool) -> None:
    path = project.root / "plugin.js"
    path.write_bytes(OLD)

    def check(done: list[Step]) -> None:
        assert content(path) in ((b"",) if acknowledged(done) else (b"", OLD))

    code = f"{FILE_OF_OURS}files._remove(path)\n"
    lose_power(root, script(project, *parts(path, code)), thoroughly, check)


def test_what_was_refused_is_kept(root: Path, project: Project, thoroughly: bool) -> None:
    code = """
from khive_persist.transfer.rejected_rows import RejectedRows
from khive_persist.transfer.row_validation import SourceEntry
rejected = RejectedRows(project, "list", None)
rejected.add(SourceEntry("line 1", raw={"a": "x" * 500}), "it is odd")
say(rejected.finish())
"""

    def check(done: list[Step]) -> None:
        for path in acknowledged(done):
            assert b"x" * 500 in Path(path).read_bytes()

    lose_power(root, script(project, code), thoroughly, check)


@pytest.mark.parametrize(
    "code",
    [
        "from khive_persist.project import make_directory\nmake_directory(project.quarantine)",
        "from khive_persist.capture.spool_writer import open_private\n"
        "open_private(str(project.quarantine))",
    ],
    ids=["of ours", "of the hook"],
)
def test_a_folder(root: Path, project: Project, thoroughly: bool, code: str) -> None:
    def check(done: list[Step]) -> None:
        assert not acknowledged(done) or project.quarantine.is_dir()

    lose_power(root, script(project, code, REST), thoroughly, check)


def test_the_key_of_what_is_believed(root: Path, thoroughly: bool) -> None:
    """What was signed is believed after it, too."""
    project = Project(root / "project")
    code = """
project.make()
from khive_persist.trust import macs
say(macs.mac(project.khive, "kind", b"text"))
"""

    def check(done: list[Step]) -> None:
        for mac in acknowledged(done):
            assert marks.is_trusted(project.khive)
            assert macs.is_ours(project.khive, "kind", b"text", mac)

    lose_power(root, script(project, code), thoroughly, check)


def test_a_mark(root: Path, project: Project, thoroughly: bool) -> None:
    """Who has marked it believes its mark after a loss of power."""
    (project.khive / marks.ID).unlink()
    (project.khive / marks.ID).symlink_to("of another folder")
    code = "from khive_persist.trust import marks\nassert marks.mark(project.khive)"

    def check(done: list[Step]) -> None:
        assert not acknowledged(done) or marks.is_trusted(project.khive)

    lose_power(root, script(project, code, REST), thoroughly, check)


def test_what_was_purged_from_the_spool(root: Path, project: Project, thoroughly: bool) -> None:
    write_private(project.config, b"[redaction]\nenabled = false\n")
    code = """
from khive_persist.capture.spool import Spool
from khive_persist.maintenance.retention.spooled import remove_waiting
from khive_persist.settings import Settings
from khive_persist.store.session_ids import SessionMatch
remove_waiting(project, SessionMatch("SECRET"), Settings())
"""
    from khive_persist.capture.spool import Spool

    spool = Spool(project)
    spool.make()
    spool.accept("codex", b'{"session_id": "SECRET"')

    def check(done: list[Step]) -> None:
        assert not acknowledged(done) or spool.events() == []

    lose_power(root, script(project, code, REST), thoroughly, check)
