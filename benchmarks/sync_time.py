"""How long a sync of the disk takes, and the same work as on a disk whose syncs take longer."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SYNCS: Final = 50
_PAGE_BYTES: Final = 4_096
# All that SQLite and the mirror sync with.
_CALLS: Final = "fsync,fdatasync,syncfs"


def sync_seconds(folder: Path) -> float:
    """The median time that a page more of a file takes to be durable."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(_PAGE_BYTES))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def reason_against() -> str:
    """Why syncs cannot be made longer here; empty where they can."""
    if shutil.which("strace") is None:
        return "no strace: apt-get install strace"
    done = subprocess.run([*_traced(0), "true"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()}"


def output_on_slower_disk(command: Sequence[str], seconds_more: float) -> str:
    """What a command prints whose syncs take so much longer; its other calls run as ever."""
    traced = [*_traced(seconds_more), *command]
    return subprocess.run(traced, stdout=subprocess.PIPE, text=True, check=True).stdout


def _traced(seconds_more: float) -> list[str]:
    delay = f"inject={_CALLS}:delay_exit={round(seconds_more * 1e6)}"
    filters = ["-e", f"trace={_CALLS}", "-e", delay] if seconds_more else ["-e", f"trace={_CALLS}"]
    # With the filter in the kernel no other call stops for the tracer.
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, *filters]
