"""Prune, purge and rescan change packed streams as they do plain ones."""

import gzip
import os
import time
from pathlib import Path

import pytest

from khive_persist.cli.root import run
from khive_persist.maintenance.retention.prune import prune
from khive_persist.maintenance.retention.purge import purge
from khive_persist.maintenance.retention.rescan import rescan
from khive_persist.maintenance.retention.rules import parse
from khive_persist.mirror.packing import pack
from khive_persist.models.purposes import BUILT_IN, HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from tests.factories import save_many
from tests.retention.events import NOW, are_equal, contents, event, files_with

CODEX = HOOK_EVENTS["codex"]
SESSION = "5f2b9a51-session-to-go"
TOKEN = "ghp_" + "A1b2C3d4" * 4 + "E5f6"


def packed_files(project: Project) -> list[str]:
    return sorted(path.name for path in project.sessions.glob("*.gz"))


def pack_all(project: Project) -> None:
    at = time.time() - 2 * 86_400
    for path in project.sessions.glob("*.jsonl"):
        os.utime(path, (at, at))
    pack(project, 1.0)
    assert not list(project.sessions.glob("*.jsonl"))


def with_bytes(project: Project, needle: bytes) -> list[str]:
    """The files that have these bytes, packed ones unpacked."""
    return files_with(project, needle) + [
        path.name
        for path in project.sessions.glob("*.gz")
        if needle in gzip.decompress(path.read_bytes())
    ]


@pytest.fixture(params=["packed", "with_late_events"])
def old(project: Project, request: pytest.FixtureRequest) -> Project:
    """Two sessions whose streams are packed, and perhaps have late events beside."""
    project.make()
    project.local_config.write_text("[redaction]\nenabled = false\n")
    save_many(
        project, [event(9, session_id=s, command=f"echo {TOKEN}") for s in (SESSION, "stays-here")]
    )
    save_many(project, [event(8, session_id=s) for s in (SESSION, "stays-here")])
    pack_all(project)
    if request.param == "with_late_events":
        save_many(project, [event(1, session_id=SESSION, command=f"late {TOKEN}")])
    return project


def test_a_purge_leaves_nothing_of_a_packed_session(old: Project) -> None:
    assert with_bytes(old, SESSION.encode())
    done = purge(old, SESSION, BUILT_IN, Settings())
    assert done.left_in == []
    assert with_bytes(old, SESSION.encode()) == []
    assert packed_files(old) == ["hook_events_2026_11_12_stays-he.jsonl.gz"]
    assert len(contents(old)) == 2
    assert are_equal(old)


def test_a_purge_names_a_packed_file_that_cannot_be_read(old: Project) -> None:
    path = old.sessions / "hook_events_2026_11_12_stays-he.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert purge(old, SESSION, BUILT_IN, Settings()).left_in == [path]


def test_pruned_events_go_from_packed_streams(old: Project) -> None:
    before = len(contents(old))
    done = prune(old, CODEX, parse("* keep_age=204h"), Settings(), as_of=NOW)
    assert done.removed == 2
    assert len(contents(old)) == before - 2
    assert with_bytes(old, b"echo ") == []
    assert len(packed_files(old)) == 2
    assert are_equal(old)


def test_a_rescan_takes_secrets_out_of_packed_streams(old: Project) -> None:
    assert with_bytes(old, TOKEN.encode())
    rescan(old, CODEX, Redactor(b"key"), Settings())
    assert with_bytes(old, TOKEN.encode()) == []
    assert len(packed_files(old)) == 2
    assert are_equal(old)


def test_what_is_not_changed_is_not_written_again(old: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(old.sessions).glob("*stays*")}
    purge(old, SESSION, BUILT_IN, Settings())
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_rescan_says_what_it_could_not_read(
    old: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(old.sessions.glob("*.gz"))
    words = ["--dir", str(old.root), "redact", "--rescan", "--yes"]
    assert run(words) == 0
    path.write_bytes(path.read_bytes()[:-9])
    capsys.readouterr()
    assert run(words) == 1
    assert f"{path} is damaged" in capsys.readouterr().err
