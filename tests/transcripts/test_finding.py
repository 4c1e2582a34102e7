"""Transcripts are found by whatever name, path or first lines they have."""

import hashlib
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from khive_persist.tools.claude_code.discovery import folder_name
from khive_persist.tools.head import documents
from khive_persist.tools.transcript_files import in_folder
from khive_persist.transcripts.discovery import find, of_agents, tool_of
from tests.transcripts.packed import pack

LONG = "/".join((*(letter * 60 for letter in "ab"), "c" * 90))


def project(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "projects" / name
    path.mkdir(parents=True)
    return path


def line(cwd: Path | str, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": "hi"}
    return {
        "type": "user",
        "uuid": "u",
        "sessionId": "s",
        "message": message,
        "cwd": str(cwd),
    } | more


def claude_code(home: Path, folder: str, *lines: Any) -> Path:
    path = home / ".claude" / "projects" / folder / "s.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def found(root: Path) -> list[Path]:
    return [path for _, path in find(root)]


@pytest.mark.parametrize("name", ["🚀app", "größe_1.2", "a b", LONG])
def test_a_folder_is_named_by_utf16_units_and_cut(home: Path, tmp_path: Path, name: str) -> None:
    root = project(tmp_path, name)
    units = str(root).encode("utf-16-le")
    pairs = (units[n : n + 2].decode("utf-16-le", "replace") for n in range(0, len(units), 2))
    folder = re.sub(r"[^A-Za-z0-9]", "-", "".join(pairs))
    assert folder_name(str(root)) == folder
    assert (len(folder) > 200) is (name == LONG)
    if len(folder) > 200:
        folder = folder[:200] + "-k3x9z1"
    path = claude_code(home, folder, line(root))
    # The name alone tells: the first file says nothing of a directory.
    (path.parent / "a.jsonl").write_text('{"type":"summary","summary":"x"}\n')
    assert found(root) == [path]
    assert found(root.parent) == [path]
    assert found(project(tmp_path, "other")) == []


def test_a_path_that_is_not_utf8(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "pr\udcffj")
    assert found(root) == []
    assert folder_name("/pr\udcffj") == "-pr-j"


def test_a_directory_below_has_a_folder_that_is_cut(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "short")
    below = project(root, LONG)
    path = claude_code(home, folder_name(str(below))[:200] + "-abc", line(below))
    assert found(root) == [path]


def test_by_whatever_link(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "physical")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for link in (ours, theirs):
        link.symlink_to(root)
    physical = claude_code(home, folder_name(str(root)), line(root))
    linked = claude_code(home, folder_name(str(theirs)), line(theirs))
    assert set(found(root)) == set(found(ours)) == set(found(theirs)) == {physical, linked}
    assert found(project(tmp_path, "other")) == []


def test_codex_by_a_link(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "physical")
    link = tmp_path / "link"
    link.symlink_to(root)
    path = home / ".codex" / "sessions" / "2026" / "11" / "20" / "rollout-x.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"type": "session_meta", "payload": {"id": "x", "cwd": str(root)}}))
    assert found(link) == found(root) == [path]


def snapshot(number: int) -> dict[str, Any]:
    return {"type": "file-history-snapshot", "messageId": f"m{number}", "snapshot": {}}


def test_whatever_lines_come_first(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "p")
    first = (snapshot(number) for number in range(300))
    path = claude_code(home, folder_name(str(root)), *first, line(root))
    assert found(root) == [path]
    assert tool_of(path) == "claude-code"


@pytest.mark.parametrize("is_last", [False, True])
def test_a_first_line_of_25_megabytes_takes_little_memory(
    home: Path, tmp_path: Path, is_last: bool
) -> None:
    root = project(tmp_path, "p")
    picture = {"type": "image", "source": {"data": "A" * (25 << 20), "cwd": '"cwd":"/else"'}}
    message = {"role": "user", "content": [picture]}
    first = {"type": "user", "uuid": "u1", "message": message, "cwd": str(root), "sessionId": "s"}
    path = claude_code(home, folder_name(str(root)), first, *([] if is_last else [line(root)]))
    del picture, message, first
    tracemalloc.start()
    try:
        assert found(root) == [path]
        assert tool_of(path) == "claude-code"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert [one["cwd"] for one in documents(path)] == [str(root)] * (1 if is_last else 2)


def test_a_first_line_of_codex_that_is_long(tmp_path: Path) -> None:
    path = tmp_path / "rollout-x.jsonl"
    payload = {"id": "x", "session_id": "s", "cwd": "/p", "base_instructions": "i" * (2 << 20)}
    path.write_text(json.dumps({"timestamp": "t", "type": "session_meta", "payload": payload}))
    (head,) = documents(path)
    assert head["payload"] == {"id": "x", "session_id": "s", "cwd": "/p"}
    assert tool_of(path) == "codex"


def test_gemini_keeps_older_sessions_as_one_document(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "p")
    link = tmp_path / "link"
    link.symlink_to(root)
    digest = hashlib.sha256(str(root).encode()).hexdigest()
    path = home / ".gemini" / "tmp" / digest / "chats" / "session-2026-01-01T00-00-abc.json"
    path.parent.mkdir(parents=True)
    document = {"sessionId": "s", "projectHash": digest, "messages": [{"content": "x" * 200_000}]}
    path.write_text(json.dumps(document, indent=2))
    (path.parent / "checkpoint-x.json").write_text("[]")
    assert found(root) == found(link) == [path]
    assert tool_of(path) == "gemini-cli"


def test_codex_compresses_what_is_over(home: Path, tmp_path: Path) -> None:
    root = project(tmp_path, "p")
    day = home / ".codex" / "sessions" / "2026" / "11" / "20"
    day.mkdir(parents=True)
    for id, parent in (("a", "a"), ("b", "a")):
        meta = {"id": id, "session_id": parent, "cwd": str(root)}
        line = json.dumps({"type": "session_meta", "timestamp": "t", "payload": meta})
        pack(day / f"rollout-{id}.jsonl.zst", line.encode() + b"\n")
    session, agent = (day / f"rollout-{id}.jsonl.zst" for id in "ab")
    assert found(root) == [session, agent]
    assert {tool_of(path) for path in found(root)} == {"codex"}
    assert [path for _, path in of_agents(next(find(root)))] == [agent]
    # It writes the new form before it removes the old one.
    plain = day / "rollout-a.jsonl"
    plain.write_text("{}\n")
    assert in_folder(day) == [plain, agent]
