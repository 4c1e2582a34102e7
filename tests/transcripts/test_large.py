"""Large transcripts: read in little memory, and what is new of them alone."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks import conversations
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.transcripts.sync import Sync
from tests.factories import make_project

LITTLE, STEADY, MUCH, HUGE = 12_000_000, 25_000_000, 40_000_000, 1 << 30
LIMIT_MEGABYTES = 150
GROWTH_MEGABYTES = 25

COMMAND = """
import sys
from khive_persist.cli.root import run

code = run(["--dir", sys.argv[1], "sync", sys.argv[2]])
# Not ru_maxrss: that has the peak of whoever started the process in it.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(int(peak.split()[1]) // 1024, file=sys.stderr)
sys.exit(code)
"""


def made(folder: Path) -> Project:
    return make_project(folder)


def peak_megabytes(project: Project, transcript: Path) -> int:
    words = [sys.executable, "-c", COMMAND, str(project.root), str(transcript)]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    return int(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "tool",
    [
        "claude-code",
        pytest.param("codex", marks=pytest.mark.long),
        pytest.param("gemini-cli", marks=pytest.mark.long),
    ],
)
def test_memory_is_flat(tmp_path: Path, tool: str) -> None:
    peaks = []
    # What is kept for a while has grown to its full size by the first.
    for size in (STEADY, MUCH):
        transcript = tmp_path / f"{size}.jsonl"
        conversations.write(transcript, tool, size)
        peaks.append(peak_megabytes(made(tmp_path / f"{size}"), transcript))
    assert peaks[1] <= LIMIT_MEGABYTES
    assert peaks[1] - peaks[0] <= GROWTH_MEGABYTES


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_a_gigabyte(tmp_path: Path, tool: str) -> None:
    transcript = tmp_path / "t.jsonl"
    conversations.write(transcript, tool, MUCH)
    little = peak_megabytes(made(tmp_path / "much"), transcript)
    lines = conversations.write(transcript, tool, HUGE)
    project = made(tmp_path / "huge")
    peak = peak_megabytes(project, transcript)
    print(tool, little, peak)
    assert peak <= LIMIT_MEGABYTES
    assert peak - little <= GROWTH_MEGABYTES
    again = Sync(project, Settings(), None).run(transcript, tool)
    assert (again.lines, again.bytes) == (0, 0)
    with transcript.open("ab") as file:
        file.write(b"{}\n")
    assert Sync(project, Settings(), None).run(transcript, tool).lines == 1
    assert lines > 100_000


@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_only_what_is_new_is_read_of_any_file(tmp_path: Path, project: Project, tool: str) -> None:
    """Of the transcript, the database and the mirror together."""
    transcript, grown = tmp_path / "t.jsonl", tmp_path / "grown.jsonl"
    conversations.write(transcript, tool, LITTLE)
    conversations.write(grown, tool, LITTLE + 100_000)
    sync = Sync(project, Settings(), Redactor(b"key"))
    sync.run(transcript, tool)
    more = grown.read_bytes()[transcript.stat().st_size :]
    with transcript.open("ab") as file:
        file.write(more)
    before = read_bytes()
    done = sync.run(transcript, tool)
    assert done.bytes == len(more)
    assert done.new > 0
    assert read_bytes() - before < LITTLE / 7


def read_bytes() -> int:
    """How many bytes this process has read from files so far."""
    told = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(told["rchar"])


def test_parts_of_a_message_far_apart_are_one(project: Project, tmp_path: Path) -> None:
    """The two lines of it are batches apart; it counts once, with both of its parts."""
    transcript = tmp_path / "t.jsonl"
    conversations.write(transcript, "claude-code", LITTLE)
    parts = []
    for number in range(2):
        block = {"type": "text", "text": f"part {number}"}
        message = {"id": "m", "content": [block], "usage": {"output_tokens": 7}}
        line = {"type": "assistant", "uuid": f"u{number}", "requestId": "r", "sessionId": "s"}
        parts.append(json.dumps(line | {"message": message}).encode() + b"\n")
    transcript.write_bytes(parts[0] + transcript.read_bytes() + parts[1])
    done = Sync(project, Settings(), Redactor(b"key")).run(transcript, "claude-code")
    assert done.changed >= 1
    with closing(sqlite3.connect(project.database("conversations.db"))) as connection:
        found = connection.execute("SELECT content FROM messages WHERE content LIKE '%part 0%'")
        (message,) = (json.loads(row[0]) for row in found)
    assert message["text"] == "part 0\npart 1"
    assert message["tokens"] == {"output": 7}
