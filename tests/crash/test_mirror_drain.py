"""A drain that is killed at each of its steps: run again, every event is once in both copies."""

import signal

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.mirror.records import (
    CLAUDE,
    CODEX,
    assert_equal,
    copied,
    drained,
    files,
    found,
    hook,
    ids,
    lines,
    recorded,
)
from tests.server import warm

# Each patches what the operating system or SQLite is asked for, so that it dies just there.
STEPS = {
    "before the commit": "on_commit(lambda: die())",
    "after the commit": "MirrorFollower.apply = lambda *a, **k: die()",
    "before the first byte": "on_write(lambda write, d, b: die())",
    "in the middle of the first line": "on_write(lambda write, d, b: (write(d, b[:100]), die()))",
    "in the middle of the append": "on_write(lambda write, d, b: (write(d, b[:-100]), die()))",
    "before the end of the last line": "on_write(lambda write, d, b: (write(d, b[:-1]), die()))",
    "after the append": "on_write(lambda write, d, b: (write(d, b), die()))",
    "after the first of two streams": """
written = []
def second(write, descriptor, content):
    written.append(descriptor)
    if len(written) == 2:
        die()
    return write(descriptor, content)
on_write(second)
""",
    "before the first unlink": "Spool.remove = lambda *a: die()",
    "after the first unlink": """
remove = Spool.remove
Spool.remove = lambda self, event: (remove(self, event), die())
""",
}

KILLED = """
import os, signal, sys
from khive_persist.capture import drain as module
from khive_persist.store.sqlite import sync_writer
from khive_persist.capture.spool import Spool
from khive_persist.mirror.consumer import MirrorFollower
from khive_persist.project import Project

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def on_commit(act):
    opened = sync_writer.open_writer
    inserted = []
    def trace(sql):
        if sql.startswith("INSERT INTO hook_events"):
            inserted.append(sql)
        elif sql == "COMMIT" and inserted:
            act()
    def open_writer(*a, **k):
        connection = opened(*a, **k)
        connection.set_trace_callback(trace)
        return connection
    sync_writer.open_writer = open_writer

def on_write(act):
    write = os.write
    def to_stream(descriptor, content):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not path.endswith(".jsonl"):
            return write(descriptor, content)
        return act(write, descriptor, bytes(content))
    os.write = to_stream

"""

RUN = """
with module.Drain(Project(sys.argv[1])) as draining:
    draining.run()
"""


def killed(project: Project, step: str, *, surely: bool = True) -> None:
    done = warm.run(KILLED + STEPS[step] + RUN, str(project.root))
    assert done.returncode == -signal.SIGKILL or not (surely or done.returncode), done.stderr


@pytest.mark.parametrize("is_new", [True, False], ids=["new streams", "old streams"])
@pytest.mark.parametrize("step", STEPS)
def test_a_drain_that_is_killed(project: Project, step: str, is_new: bool) -> None:
    arrived = []
    if not is_new:
        arrived += [hook(project, f"session-{n % 2}", n) for n in range(4)]
        drained(project)
    arrived += [hook(project, f"session-{n % 2}", n) for n in range(40)]
    killed(project, step)
    if step == "before the commit":
        assert len(recorded(project)) == len(arrived) - 40
    else:
        assert len(recorded(project)) == len(arrived)
    for difference, _ in found(project):
        assert difference in ("missing_in_mirror", "torn")
    # And again: it may come further, for what is there is not written again.
    killed(project, step, surely=False)
    drained(project)
    assert Spool(project).is_empty()
    assert ids(project, CLAUDE) == arrived
    assert_equal(project)
    assert sorted(len(lines(project, name)) for name in files(project)) == [len(arrived) // 2] * 2
    assert [one["id"] for name in files(project) for one in lines(project, name)] in (
        arrived[0::2] + arrived[1::2],
        arrived[1::2] + arrived[0::2],
    )


def test_the_torn_first_line_of_another_session_takes_no_name_for_good(project: Project) -> None:
    """Killed in its first append; before it runs again another tool wants that very name."""
    hook(project, "same", 0, "claude-code")
    killed(project, "in the middle of the first line")
    assert len(files(project)) == 1
    waiting = [event for event in Spool(project).events() if event.tool == "claude-code"]
    moved = project.root / waiting[0].name
    (project.spool / waiting[0].name).rename(moved)
    hook(project, "same", 1, "codex")
    drained(project)
    moved.rename(project.spool / waiting[0].name)
    drained(project)
    assert len(files(project)) == 2
    assert len(copied(project)) == len(ids(project, CLAUDE) + ids(project, CODEX)) == 2
    assert_equal(project)
