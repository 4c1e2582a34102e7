"""Transcripts into the database and its mirror, against parsing their lines and nothing else."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks import conversations
from benchmarks.table import Line
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.redacting import load_redactor
from khive_persist.transcripts.sync import Sync

BYTES = 100_000_000
ROUNDS = 3
GOAL_BYTES_PER_SECOND = 50e6
OF_PARSING = 0.3
GOAL_MEBIBYTES = 150


class Measured(NamedTuple):
    """One sync in a process of its own.

    Attributes:
        parsed: The speed of orjson alone, before and after, in bytes a second.
        synced: The speed of the sync.
        peak: The most memory that the process took, in MiB.
    """

    parsed: float
    synced: float
    peak: float

    @property
    def reached(self) -> float:
        """How much of the goal."""
        return self.synced / min(GOAL_BYTES_PER_SECOND, OF_PARSING * self.parsed)


def measure() -> list[Line]:
    """The speed for each tool, and the memory."""
    lines = []
    peak = 0.0
    with tempfile.TemporaryDirectory() as name:
        for tool in conversations.TOOLS:
            transcript = Path(name) / f"{tool}.jsonl"
            conversations.write(transcript, tool, BYTES)
            rounds = [_measured(tool, transcript, Path(name)) for _ in range(ROUNDS)]
            transcript.unlink()
            peak = max(peak, *(one.peak for one in rounds))
            synced, parsed = (
                statistics.median(values) / 1e6
                for values in ([one.synced for one in rounds], [one.parsed for one in rounds])
            )
            lines.append(
                Line(
                    f"sync of {BYTES // 10**6} MB by {tool}, redacted and mirrored, against 50 MB/s"
                    f" or {OF_PARSING:g} × orjson alone",
                    f"{synced:.0f} MB/s",
                    f"orjson {parsed:.0f} MB/s",
                    statistics.median(one.reached for one in rounds),
                    1.0,
                )
            )
    return [
        *lines,
        Line(
            "memory of these syncs, the most",
            f"{peak:.0f} MiB",
            f"{GOAL_MEBIBYTES} MiB",
            peak,
            GOAL_MEBIBYTES,
            at_most=True,
            unit="MiB",
        ),
    ]


def run(tool: str, transcript: str, folder: str) -> None:
    """Sync into a new project, and print what was measured."""
    path, project = Path(transcript), Project(folder)
    project.make()
    sync = Sync(project, Settings(), load_redactor(project, Settings()))
    parsed = [_parse(path)]
    began = time.perf_counter()
    done = sync.run(path, tool)
    took = time.perf_counter() - began
    parsed.append(_parse(path))
    if done.bytes != path.stat().st_size:
        raise RuntimeError(f"read {done.bytes} bytes")
    # Not ru_maxrss: that has the peak of whoever started the process in it.
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
    print(json.dumps([2 * done.bytes / sum(parsed), done.bytes / took, int(peak) / 1024]))


def _measured(tool: str, transcript: Path, folder: Path) -> Measured:
    with tempfile.TemporaryDirectory(dir=folder) as project:
        words = ", ".join(map(repr, (tool, str(transcript), project)))
        program = f"from benchmarks.syncing import run; run({words})"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return Measured(*json.loads(done.stdout))


def _parse(path: Path) -> float:
    began = time.perf_counter()
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
    return time.perf_counter() - began
