"""Transcripts of every form are read whole, and no line has the time of the sync."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.lineage.lineage import read_lineage
from khive_persist.sessions.listing import SessionFilter, list_sessions
from khive_persist.sessions.rollup.groups import Span, read_groups
from khive_persist.settings import Settings
from khive_persist.tools import packed_lines
from khive_persist.transcripts.growing_file import START
from khive_persist.transcripts.reconciliation import account
from khive_persist.transcripts.source import opened
from khive_persist.transcripts.sync import Sync, Synced
from tests import stored
from tests.factories import make_project
from tests.stored import select
from tests.transcripts.packed import pack
from tests.transcripts.test_counts import SAMPLES

CODEX = sorted((SAMPLES / "codex").glob("*.jsonl"))[0]
UNENDED = Path(__file__).parent / "identity" / "unended"
YEAR = "2026-11-20 10:00:"


def run(project: Project, path: Path, tool: str = "claude-code") -> Synced:
    return Sync(project, Settings(), None).run(path, tool)


def rows(project: Project, columns: str) -> list[Any]:
    sql = f"SELECT {columns} FROM conversation ORDER BY created_at, id"
    return select(project, "conversations.db", sql)


def contents(project: Project) -> list[dict[str, Any]]:
    return [*stored.contents(project, "conversations.db").values()]


def transcript(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def line(number: int, text: str = "hi") -> dict[str, Any]:
    return {"type": "user", "uuid": f"u{number}", "sessionId": "s", "message": {"content": text},
            "timestamp": f"2026-11-20T10:00:{number:02}.000Z"}  # fmt: skip


def test_a_last_line_without_a_newline_is_read_and_no_line_twice(
    project: Project, tmp_path: Path
) -> None:
    (source,) = UNENDED.iterdir()
    path = Path(shutil.copy(source, tmp_path / "t.jsonl"))
    assert run(project, path).lines == 4
    assert [text for (text,) in rows(project, "text")] == ["one", "two", "three", "four"]
    assert run(project, path).lines == 0
    with path.open("a") as file:
        file.write("\n")
    done = run(project, path)
    assert (done.lines, done.is_restarted) == (0, False)
    with path.open("a") as file:
        file.write(json.dumps(line(5, "five")) + "\n")
    done = run(project, path)
    assert (done.lines, done.new, done.is_restarted) == (1, 1, False)
    numbers = {one["text"]: one["line"] for one in contents(project)}
    assert numbers == {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


@pytest.mark.parametrize("rest", ["{", '{"a": {}', '"text"', "12", "{}x", "\0\0"])
def test_a_last_line_that_is_no_whole_object_is_waited_for(
    project: Project, tmp_path: Path, rest: str
) -> None:
    path = transcript(tmp_path / "t.jsonl", line(1))
    with path.open("a") as file:
        file.write(rest)
    done = run(project, path)
    assert (done.lines, done.damaged) == (1, 0)


def test_a_rollout_that_was_compressed(project: Project, tmp_path: Path) -> None:
    run(project, CODEX, "codex")
    before = rows(project, "*")
    path = pack(tmp_path / "rollout-x.jsonl.zst", CODEX.read_bytes())
    done = run(project, path, "codex")
    assert (done.new, done.changed, done.damaged) == (0, 0, 0)
    assert done.lines == len(CODEX.read_bytes().splitlines())
    assert rows(project, "*") == before
    assert run(project, path, "codex").lines == 0


def test_a_compressed_rollout_alone(project: Project, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other")
    run(other, CODEX, "codex")
    run(project, pack(tmp_path / "rollout-x.jsonl.zst", CODEX.read_bytes()), "codex")
    columns = "id, role, text, tokens_input, created_at"
    assert rows(project, columns) == rows(other, columns)


@pytest.mark.parametrize("cut", ["middle", "garbage"])
def test_of_a_damaged_stream_the_sound_lines_are_kept_and_the_damage_is_counted(
    project: Project, tmp_path: Path, cut: str
) -> None:
    content = b"".join(json.dumps(line(n, f"{n} " * 50_000)).encode() + b"\n" for n in range(20))
    path = pack(tmp_path / "s.jsonl.zst", content)
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) * 3 // 4] + (b"" if cut == "middle" else b"x" * 500))
    done = run(project, path)
    assert done.damaged == 1
    assert 0 < done.new - 1 < 20
    (payload,) = [one["payload"] for one in contents(project) if "payload" in one]
    assert payload.startswith("the rest cannot be unpacked: ")
    path.write_bytes(packed)
    assert run(project, path).new + done.new - 1 == 20


def test_a_compressed_line_without_end_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_lines, "MAX_LINE_BYTES", 1 << 20)
    path = pack(tmp_path / "s.jsonl.zst", b'{"a": 1}\n{"a": "' + b"A" * (3 << 20))
    with closing(opened(path, START)) as source:
        read = [raw.content for raw in source.lines()]
    assert read == [b'{"a": 1}\n', b"a line is longer than 1048576 bytes"]


def gemini(path: Path, *messages: Any) -> Path:
    header = {"sessionId": "s-1", "projectHash": "h", "startTime": "2026-01-01T10:00:00Z"}
    path.write_text(json.dumps(header | {"messages": messages}, indent=2))
    return path


ASKED = {"id": "m1", "type": "user", "content": "do it", "timestamp": "2026-01-01T10:00:01.000Z"}
SAID = {
    "id": "m2", "type": "gemini", "content": "done", "timestamp": "2026-01-01T10:00:02.000Z",
    "model": "gemini-2.5-pro", "tokens": {"input": 10, "output": 2, "cached": 4, "total": 12},
    "toolCalls": [{"id": "c1", "name": "read_file", "args": {}, "status": "success"}],
}  # fmt: skip
MORE = ASKED | {"id": "m3", "content": "and more", "timestamp": "2026-01-01T10:00:03.000Z"}


def test_gemini_sessions_that_are_one_document(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "session-x.json"
    done = run(project, gemini(path, ASKED, SAID), "gemini-cli")
    assert (done.new, done.unknown, done.damaged) == (2, {}, 0)
    assert rows(project, "session_id, role, text, tokens_input, tokens_output") == [
        ("s-1", "user", "do it", None, None), ("s-1", "assistant", "done", 6, 2),
    ]  # fmt: skip
    assert run(project, path, "gemini-cli").lines == 0
    # It goes on: the client writes all of it anew.
    done = run(project, gemini(path, ASKED, SAID, MORE), "gemini-cli")
    assert (done.new, done.changed, done.is_restarted) == (1, 0, False)
    # A newer client goes on in lines.
    run(project, transcript(tmp_path / "s.jsonl", {"sessionId": "s-1", "projectHash": "h"}, MORE),
        "gemini-cli")  # fmt: skip
    assert [text for (text,) in rows(project, "text")] == ["do it", "done", "and more"]


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"messages": 7}'])
def test_a_document_that_is_none(project: Project, tmp_path: Path, content: str) -> None:
    path = tmp_path / "session-x.json"
    path.write_text(content)
    done = run(project, path, "gemini-cli")
    assert done.damaged + sum(done.unknown.values()) == (1 if content else 0)
    assert run(project, path, "gemini-cli").lines == 0


def test_all_transcripts_are_read_anew_when_the_database_was_lost(
    project: Project, tmp_path: Path
) -> None:
    paths = [transcript(tmp_path / f"{n}.jsonl", line(n)) for n in range(1, 6)]
    for path in paths:
        run(project, path)
    before = rows(project, "*")
    for file in project.khive.glob("conversations.db*"):
        file.unlink()
    assert [run(project, path).new for path in paths] == [1] * 5
    assert rows(project, "*") == before
    assert [run(project, path).lines for path in paths] == [0] * 5


def test_lines_without_a_time_have_that_of_their_neighbours(
    project: Project, tmp_path: Path
) -> None:
    unknown = [{"type": f"new-{n}", "sessionId": "s", "x": n} for n in range(5)]
    path = transcript(
        tmp_path / "t.jsonl", unknown[0], line(1), unknown[1],
        {"type": "queue-operation", "operation": "x", "timestamp": "2026-11-20T10:00:07.000Z"},
        unknown[2], unknown[3] | {"timestamp": 1_795_168_809_000}, unknown[4] | {"ts": 5},
    )  # fmt: skip
    done = run(project, path)
    assert done.unknown == {f"new-{n}": 1 for n in range(5)}
    at = dict(rows(project, "kind, substr(created_at, 1, 19)"))
    assert at.pop("message") == YEAR + "01"
    assert at == {"new-0": YEAR + "01", "new-1": YEAR + "01", "new-2": YEAR + "07",
                  "new-3": YEAR + "09", "new-4": YEAR + "09"}  # fmt: skip
    # The neighbour may have been read by an earlier sync.
    with path.open("a") as file:
        file.write(json.dumps({"type": "later"}) + "\n")
    run(project, path)
    assert dict(rows(project, "kind, substr(created_at, 1, 19)"))["later"] == YEAR + "09"


def test_where_no_line_has_a_time_it_is_that_of_the_file(project: Project, tmp_path: Path) -> None:
    path = transcript(tmp_path / "t.jsonl", {"type": "new", "sessionId": "s"}, [1])
    run(project, path)
    assert len({at for (at,) in rows(project, "created_at")}) == 1
    ((at,), _) = rows(project, "strftime('%s', created_at)")
    assert int(at) == int(path.stat().st_mtime)


def test_the_bookkeeping_of_the_newest_client_is_no_message(
    project: Project, tmp_path: Path
) -> None:
    kinds = ("api-request", "api-request-blob", "api-request-shape", "atis-latch", "tools-used")
    done = run(project, transcript(tmp_path / "t.jsonl", line(1), *({"type": k} for k in kinds)))
    assert (done.new, done.unknown) == (1, {})


def test_lines_that_are_not_known_are_kept_and_are_no_messages(
    project: Project, tmp_path: Path
) -> None:
    unknown = {"type": "new", "sessionId": "s"}
    path = transcript(tmp_path / "t.jsonl", line(1), unknown, unknown | {"uuid": "u2"}, line(3))
    with path.open("a") as file:
        file.write("{torn\n")
    done = run(project, path)
    assert (done.unknown, done.damaged) == ({"new": 2}, 1)
    assert sorted(role for (role,) in rows(project, "role")) == [*["none"] * 3, *["user"] * 2]
    assert anyio.run(account, project, "s").messages == 2
    assert anyio.run(counts, project) == [2, 2, 2]


async def counts(project: Project) -> list[int]:
    """The messages of the session, as its lineage, a list of sessions and the sums have them."""
    tree = await read_lineage(project, "s", PriceTable())
    async with reading(project, CONVERSATIONS) as reader:
        (listed,) = await list_sessions(reader, SessionFilter())
        groups = await read_groups(reader, CONVERSATIONS, Span(0, 1 << 62, "s"), PriceTable())
    summed = sum(group.rows - group.others for group in groups)
    return [sum(agent.total.messages for agent in tree.agents), listed.messages, summed]
