"""A million rows of two kilobytes leave the memory as it is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_persist.project import Project
from tests.exchange.rows import CLAUDE, made, put

MANY = 1_000_000
FEW = 10_000
LIMIT_MEGABYTES = 200
GROWTH_MEGABYTES = 20

EXPORT = """
import sys, anyio
from pathlib import Path
from khive_persist.transfer.export import export, parts_of
from khive_persist.project import Project
from khive_persist.models.hook_event import HookEvent

async def run(root, target, form):
    return await export(Project(root), parts_of(HookEvent), Path(target), form, force=True)

count = anyio.run(run, *sys.argv[1:])
# Not ru_maxrss: that has the peak of whoever started the process in it.
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(count, int(peak.split()[1]) // 1024)
"""


def events(count: int) -> Iterator[tuple[Any, ...]]:
    for number in range(count):
        content = {
            "event_type": "post_command", "tool": "claude-code", "session_id": f"s{number // 500}",
            "tool_use_id": f"t{number}", "command": f"make {number}", "duration_ms": number / 7,
            "success": number % 9 > 0, "output": f"a{number} " * 60,
            "payload": {"stdout": f"b{number * 7} " * 120},
        }  # fmt: skip
        created_at = f"2026-11-01 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
        yield f"{number:032}", json.dumps(content), "{}", f"{created_at}.000000", None


def peak_megabytes(project: Project, target: Path, form: str, count: int) -> int:
    words = [sys.executable, "-c", EXPORT, str(project.root), str(target), form]
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    exported, peak = map(int, done.stdout.split())
    assert exported == count
    return peak


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_memory_is_flat(tmp_path: Path) -> None:
    few, many = made(tmp_path / "few"), made(tmp_path / "many")
    put(few, events(FEW), CLAUDE)
    put(many, events(MANY), CLAUDE)
    for form in ("jsonl", "csv", "parquet", "xlsx"):
        target = tmp_path / "x"
        little = peak_megabytes(few, target, form, FEW)
        much = peak_megabytes(many, target, form, MANY)
        print(form, little, much, target.stat().st_size)
        target.unlink()
        assert much <= LIMIT_MEGABYTES
        assert much - little <= GROWTH_MEGABYTES
