"""From the spool into the database, and what a payload costs there."""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.samples import payload
from benchmarks.table import Line
from khive_persist.capture import spool_writer
from khive_persist.capture.drain import Drain
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_writer

EVENTS = 5_000
ROUNDS = 3
PAYLOAD_BYTES = 2_048
PURPOSE = HOOK_EVENTS["claude-code"]


def measure() -> list[Line]:
    """The drain's rate, and the bytes of a database for each byte of a payload."""
    before = payload(PAYLOAD_BYTES), "Write, before it ran"
    after = payload(PAYLOAD_BYTES, post=True), "Bash, with its output's preview"
    rates = []
    lines = []
    for sample, name in (before, after):
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            for _ in range(ROUNDS):
                _fill(project, sample)
                rates.append(EVENTS / _drain(project))
            lines += _sizes(project, name)
    rate = statistics.median(rates)
    what = f"spool to database and mirror, {PAYLOAD_BYTES // 1024} KB payloads"
    goal = 5_000
    return [Line(what, f"{rate:,.0f} events/s", f"{goal:,} events/s", rate / goal, 1.0), *lines]


def _fill(project: Project, sample: bytes) -> None:
    """A spool full of events, as hooks leave it; without their syncs, which are not measured."""
    project.make()
    project.spool.mkdir(mode=0o700, exist_ok=True)
    for _ in range(EVENTS):
        name = spool_writer.file_name("claude-code", True)
        (project.spool / name).write_bytes(sample)
    os.sync()


def _drain(project: Project) -> float:
    with Drain(project) as drain:
        began = time.perf_counter()
        result = drain.run(60)
        took = time.perf_counter() - began
    if result.stored_count != EVENTS or result.waiting_count:
        raise RuntimeError(f"drained {result} of {EVENTS}")
    return took


def _sizes(project: Project, name: str) -> list[Line]:
    path = project.database(PURPOSE.file)
    whole = path.stat().st_size
    without = _bytes_without_indexes(path)
    return [
        Line(
            f"database bytes for a byte of payload ({name})",
            f"{whole / EVENTS / ROUNDS:,.0f} B",
            f"{PAYLOAD_BYTES:,} B",
            whole / EVENTS / ROUNDS / PAYLOAD_BYTES,
            1.4,
            at_most=True,
        ),
        Line(
            f"indexes, of the file's size ({name})",
            f"{whole - without:,} B",
            f"{whole:,} B",
            (whole - without) / whole * 100,
            10,
            at_most=True,
            unit="%",
        ),
    ]


def _bytes_without_indexes(path: Path) -> int:
    copy = path.with_name("without_indexes.db")
    shutil.copy(path, copy)
    connection = open_writer(copy, PURPOSE)
    names = [row[0] for row in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    )]  # fmt: skip
    # The index of the primary key goes only with its table.
    for index in names:
        connection.execute(f"DROP INDEX {index}")
    connection.execute(f"CREATE TABLE bare AS SELECT * FROM {PURPOSE.table}")
    connection.execute(f"DROP TABLE {PURPOSE.table}")
    connection.execute("VACUUM")
    connection.close()
    return copy.stat().st_size
