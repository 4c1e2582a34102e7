"""What sessions take on the disk a day after their end: database and mirror together."""

import os
import tempfile
import time
from pathlib import Path

from benchmarks.sessions import Sample
from benchmarks.table import Line
from khive_persist.capture import spool_writer
from khive_persist.capture.drain import Drain
from khive_persist.mirror.packing import pack
from khive_persist.project import Project
from khive_persist.settings import Settings

SESSIONS = 60
CALLS = 32


def measure() -> list[Line]:
    """Blocks on the disk, as `du` counts them, for each byte of what the hooks received."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        events, payload_bytes = _fill(project)
        with Drain(project) as drain:
            result = drain.run(60)
        if result.stored_count != events or result.waiting_count:
            raise RuntimeError(f"drained {result} of {events}")
        days = Settings().mirror_pack_after_days
        at = time.time() - days * 86_400 - 60
        for path in project.sessions.glob("*.jsonl"):
            os.utime(path, (at, at))
        if pack(project, days, pass_seconds=600).streams != SESSIONS:
            raise RuntimeError("not every session was packed")
        mirror = sum(map(_disk_bytes, [project.sessions, *project.sessions.iterdir()]))
        disk_bytes = mirror + sum(map(_disk_bytes, project.khive.glob("*.db*")))
    kilobytes = payload_bytes / events / 1_024
    what = (
        f"bytes on disk for a byte of payload, a day after the session's end ({events:,} events of"
        f" {kilobytes:.1f} KB; the mirror {mirror / payload_bytes:.2f})"
    )
    return [
        Line(
            what,
            f"{disk_bytes:,} B",
            f"{payload_bytes:,} B",
            disk_bytes / payload_bytes,
            2.0,
            at_most=True,
        )
    ]


def _fill(project: Project) -> tuple[int, int]:
    """Sessions in the spool, as hooks leave them; how many events and bytes."""
    project.make()
    project.spool.mkdir(mode=0o700, exist_ok=True)
    events = payload_bytes = 0
    for number in range(SESSIONS):
        for payload in Sample(number).payloads(CALLS):
            (project.spool / spool_writer.file_name("claude-code", True)).write_bytes(payload)
            events, payload_bytes = events + 1, payload_bytes + len(payload)
    os.sync()
    return events, payload_bytes


def _disk_bytes(path: Path) -> int:
    return path.lstat().st_blocks * 512
