"""Transcripts that are being written, cut, rewritten, damaged or large."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.transcripts.sync import Sync, Synced
from tests.factories import make_project
from tests.stored import select
from tests.transcripts.test_counts import SAMPLES

SAMPLE = SAMPLES / "claude-code" / "-home-dev-src-proj"
SAMPLE /= "b922b32d-b618-4206-b85a-9d5da3d8cde9.jsonl"


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


def run(project: Project, path: Path, redactor: Redactor | None = None) -> Synced:
    return Sync(project, Settings(), redactor).run(path, "claude-code")


def stored(project: Project) -> list[Any]:
    return select(project, "conversations.db", "SELECT id, content FROM messages ORDER BY id")


@pytest.fixture
def whole(tmp_path: Path, transcript: Path) -> list[Any]:
    """The rows of the sample read at once."""
    project = make_project(tmp_path / "whole")
    transcript.write_bytes(SAMPLE.read_bytes())
    run(project, transcript)
    transcript.unlink()
    return stored(project)


def test_cut_at_any_byte_of_its_end_and_grown_again_nothing_is_lost_or_doubled(
    project: Project, transcript: Path, whole: list[Any]
) -> None:
    content = SAMPLE.read_bytes()
    for end in range(len(content) - 4_096, len(content), 61):
        transcript.write_bytes(content[:end])
        run(project, transcript)
    transcript.write_bytes(content)
    run(project, transcript)
    assert stored(project) == whole


@pytest.mark.long
def test_cut_at_each_byte_of_its_end(project: Project, transcript: Path, whole: list[Any]) -> None:
    content = SAMPLE.read_bytes()
    for end in range(len(content) - 4_096, len(content) + 1):
        transcript.write_bytes(content[:end])
        run(project, transcript)
    assert stored(project) == whole


def test_only_what_is_new_is_read(project: Project, transcript: Path) -> None:
    lines = SAMPLE.read_bytes().splitlines(keepends=True)
    transcript.write_bytes(b"".join(lines[:20]))
    assert run(project, transcript).lines == 20
    with transcript.open("ab") as file:
        file.write(b"".join(lines[20:]))
    done = run(project, transcript)
    assert (done.lines, done.is_restarted) == (len(lines) - 20, False)
    assert done.bytes == len(b"".join(lines[20:]))
    assert run(project, transcript).lines == 0


def test_a_file_that_was_rewritten_is_noticed_and_read_anew(
    project: Project, transcript: Path, whole: list[Any]
) -> None:
    content = SAMPLE.read_bytes()
    other = content.replace(b'"gitBranch":"master"', b'"gitBranch":"mister"')
    transcript.write_bytes(other)
    run(project, transcript)
    transcript.write_bytes(content)
    assert run(project, transcript).is_restarted
    assert [id for id, _ in stored(project)] == [id for id, _ in whole]


def test_a_torn_tail_of_nuls_is_waited_for(
    project: Project, transcript: Path, whole: list[Any]
) -> None:
    content = SAMPLE.read_bytes()
    middle = content.index(b"\n", len(content) // 2) + 1
    transcript.write_bytes(content[:middle] + b"\0" * 5_000)
    run(project, transcript)
    transcript.write_bytes(content[:middle] + b"\0" * 5_000 + content[middle:])
    done = run(project, transcript)
    assert done.damaged == 0
    strip = {"line"}
    assert [without(row, strip) for row in stored(project)] == [
        without(row, strip) for row in whole
    ]


def without(row: Any, names: set[str]) -> Any:
    return row[0], {name: v for name, v in json.loads(row[1]).items() if name not in names}


def test_lines_that_are_damaged_or_unknown_are_kept_and_counted(
    project: Project, transcript: Path
) -> None:
    transcript.write_bytes(
        b'{"type":"brand-new","uuid":"u1","sessionId":"s"}\n{"type":"newer still","x":1}\n'
        b'{"cut": \n\n[1,2]\n\xff\xfe\n{"type":"user"}\n'
    )
    done = run(project, transcript)
    assert done.unknown == {"brand-new": 1, "newer still": 1, "list": 1, "user": 1}
    assert done.damaged == 2
    kinds = sorted(json.loads(content)["kind"] for _, content in stored(project))
    assert kinds == ["brand-new", "damaged", "damaged", "list", "newer still", "user"]
    assert any("newer still" in content and '"x":1' in content for _, content in stored(project))


def test_a_line_of_fifty_megabytes(project: Project, transcript: Path) -> None:
    text = "x" * (50 << 20)
    line = {"type": "user", "uuid": "u", "sessionId": "s", "message": {"content": text}}
    transcript.write_text(json.dumps(line) + "\n")
    assert run(project, transcript).new == 1
    assert len(json.loads(stored(project)[0][1])["text"]) == 50 << 20


def test_secrets_are_taken_out_of_messages_and_their_mirror(
    project: Project, transcript: Path
) -> None:
    token = "ghp_" + "A1b2C3d4" * 4 + "E5f6"
    line = {"type": "user", "uuid": "u", "sessionId": "s", "message": {"content": f"use {token}"}}
    transcript.write_text(json.dumps(line) + "\n")
    run(project, transcript, Redactor(b"key"))
    files = [path for path in project.khive.rglob("*") if path.is_file()]
    assert not any(token.encode() in path.read_bytes() for path in files)
    (mirrored,) = project.sessions.glob("messages_*.jsonl")
    assert b"[REDACTED:github_token:" in mirrored.read_bytes()


def test_swapped_for_another_file_between_two_reads(project: Project, tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    samples = sorted((SAMPLES / "claude-code" / "-home-dev-src-proj").glob("*.jsonl"))
    one.write_bytes(samples[0].read_bytes())
    other.write_bytes(samples[1].read_bytes())
    run(project, one)
    run(project, other)
    before = stored(project)
    os.rename(one, tmp_path / "tmp")
    os.rename(other, one)
    os.rename(tmp_path / "tmp", other)
    assert run(project, one).is_restarted
    run(project, other)
    assert stored(project) == before
