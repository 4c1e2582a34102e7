"""A process recorded, and every state that a loss of power in it can leave."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from khive_persist.project import Project
from tests.crash.power.disk import Disk, images, put
from tests.crash.power.disk_log import Step, record

# A system that has no such call, as macOS.
WITHOUT_SYNCFS = """
from khive_persist.mirror import syncing
syncing._function = lambda: None
"""
BEGIN = """
import sys
from pathlib import Path
import anyio
from khive_persist import open_store
from khive_persist.project import Project
from tests.mirror.records import event, plan
project = Project(sys.argv[1])

def say(*words):
    print(*words, flush=True)
"""


def acknowledged(steps: Sequence[Step]) -> list[str]:
    """What a process had said by then, in order."""
    return b"".join(step.content for step in steps if step.call == "said").decode().split()


def script(project: Project, *parts: str) -> list[str]:
    return [sys.executable, "-P", "-c", BEGIN + "".join(parts), str(project.root)]


def lose_power(
    root: Path,
    words: Sequence[str],
    thoroughly: bool,
    check: Callable[[list[Step]], None],
    stdin: bytes = b"",
) -> int:
    """Record a program and look at each disk that it can leave; how many there are."""
    before = Disk(root).image("all", "all")
    steps = record(root, words, stdin)
    put(root, before)
    count = 0
    for done, image in images(root, steps, thoroughly=thoroughly):
        count += 1
        put(root, image)
        try:
            check(done)
        except BaseException as error:
            last = [f"{step.call} {' '.join(step.paths)} {step.content[:80]!r}" for step in done]
            error.add_note("after\n  " + "\n  ".join(last[-12:]))
            raise
    return count
