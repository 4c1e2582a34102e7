"""The first event of a drainer where many session files lie, against where few lie."""

import os
import tempfile
import time
from pathlib import Path
from typing import Final
from uuid import UUID

from benchmarks.samples import payload
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist.capture import spool_writer
from khive_persist.capture.drain import Drain
from khive_persist.mirror import names
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project

FILES: Final = 100_000
FEW: Final = 100
ROUNDS: Final = 20
# Payloads of numbers that lie this far apart are of different sessions.
_EVENTS_A_SESSION: Final = 200


def measure(files: int = FILES) -> list[Line]:
    """The time from an event in the spool to its copies, by a drainer that has just begun."""
    with tempfile.TemporaryDirectory() as name:
        many, few = Project(Path(name) / "many"), Project(Path(name) / "few")
        for project, count in ((many, files), (few, FEW)):
            project.root.mkdir()
            project.make()
            _fill(project, count)
        of_many, of_few = [], []
        for number in range(1, ROUNDS + 2):
            of_many.append(_first(many, number))
            of_few.append(_first(few, number))
        lie = len(os.listdir(many.sessions))
    return [
        Line(
            f"the first event of a drainer where {lie:,} session files lie, against {FEW}",
            milliseconds(of_many[1:]),
            milliseconds(of_few[1:]),
            median_ratio(of_many[1:], of_few[1:]),
            1.5,
            at_most=True,
        )
    ]


def _first(project: Project, number: int) -> float:
    """Every other event is of a session that has a file already."""
    sample = payload(2_048, number // 2 * _EVENTS_A_SESSION + number % 2)
    (project.spool / spool_writer.file_name("claude-code", True)).write_bytes(sample)
    began = time.perf_counter()
    with Drain(project) as drain:
        result = drain.run(60)
        seconds = time.perf_counter() - began
    if (result.stored_count, result.waiting_count) != (1, 0):
        raise RuntimeError(f"drained {result}")
    return seconds


def _fill(project: Project, count: int) -> None:
    """Files of sessions that are over, each like that of the first event, which is drained."""
    project.spool.mkdir(mode=0o700, exist_ok=True)
    _first(project, 0)
    (first,) = project.sessions.glob("*.jsonl")
    text = first.read_text()
    day_and_ending = names.split(first.name, HOOK_EVENTS["claude-code"])
    assert day_and_ending is not None
    begin = first.name.removesuffix(f"{day_and_ending[1]}.jsonl")
    session = text.partition('"session_id":"')[2].partition('"')[0]
    for number in range(count - 1):
        # Beginnings that differ, as those of random ids do.
        other = str(UUID(int=(number * 0x9E3779B1 % (1 << 32)) << 96, version=4))
        path = project.sessions / f"{begin}{names.short(other)}.jsonl"
        path.write_text(text.replace(session, other))
    os.sync()
