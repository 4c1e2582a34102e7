"""Processes that save, change, move and delete records of both kinds, and say what was done."""

from collections import ChainMap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from khive_persist.project import Project
from tests.backup.writers import Writer

# Each of its ids has a number that grows. Some are deleted now and then, and come again.
PLANS = """
import anyio
from khive_persist import PlannerSession, open_store

async def main():
    async with open_store(PlannerSession, dir=sys.argv[1]) as plans:
        for number in numbers():
            kept = number % 4
            id = f"plan{'-kept' if kept else ''}-{sys.argv[2]}-{number % 97}"
            content = {"session_id": id, "task_description": "x" * 200, "number": number}
            if not kept and number % 3 == 0:
                await plans.delete(id)
            else:
                await plans.save(PlannerSession(id=id, content=content))
            print(id, number, flush=True)

anyio.run(main)
"""

# Its events move between the sessions that recorders write to, too.
EVENTS = """
import anyio
from khive_persist import HookEvent, open_store

async def main():
    async with open_store(HookEvent, dir=sys.argv[1]) as events:
        for number in numbers():
            kept = number % 4
            id = f"event{'-kept' if kept else ''}-{sys.argv[2]}-{number % 97}"
            tool = ("claude-code", "codex")[number % 97 % 2]
            content = {"event_type": "stop", "tool": tool, "session_id": f"session-{number % 5}",
                       "number": number}
            if not kept and number % 3 == 0:
                await events.delete(id)
            else:
                await events.save(HookEvent(id=id, content=content))
            print(id, number, flush=True)

anyio.run(main)
"""

RECORDER = """
from khive_persist.capture.drain import Drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project

project = Project(sys.argv[1])
spool = Spool(project)
with Drain(project) as drain:
    for number in numbers():
        session = b"session-%d" % (number % 7) if number % 20 else b"new-%d" % number
        payload = b'{"hook_event_name":"Stop","session_id":"%s","number":%d}' % (session, number)
        print(spool.accept(sys.argv[2], payload).id, number, flush=True)
        if number % 10 == 9:
            drain.run(60)
"""

ALL = ((PLANS, "a"), (EVENTS, "b"), (RECORDER, "claude-code"), (RECORDER, "codex"))


@contextmanager
def writing(project: Project, most: int, programs: tuple[tuple[str, str], ...] = ALL
            ) -> Iterator[list[Writer]]:  # fmt: skip
    """Processes at work, which are killed in the end.

    Args:
        project: Where.
        most: How much each of them may write before it is told to go on.
        programs: Each with a word of its own.
    """
    with ExitStack() as stack:
        writers = []
        for program, word in programs:
            writers.append(Writer(program, str(project.root), word))
            stack.callback(writers[-1].stop)
        for writer in writers:
            writer.go_on(most)
        for writer in writers:
            writer.wait_until(1)
        yield writers


def acknowledged(writers: list[Writer]) -> dict[str, int]:
    """The last number that was said of each id that is never deleted."""
    said = [dict(line.split() for line in writer.acknowledged) for writer in writers]
    return {
        id: int(number)
        for id, number in ChainMap(*said).items()
        if not id.startswith(("plan-", "event-")) or "-kept-" in id
    }
