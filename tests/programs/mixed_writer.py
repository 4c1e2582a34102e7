"""Spool and save for sessions; print the id and number of each, once it is there for good.

Half of it mentions the sessions that are purged meanwhile.
"""

import json
import sys

import anyio

from khive_persist import HookEvent, PlannerSession, open_store
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.factories import event, plan
from tests.programs.numbers_to_write import numbers


async def main() -> None:
    project = Project(sys.argv[1])
    async with (
        open_store(PlannerSession, dir=project.root) as plans,
        open_store(HookEvent, dir=project.root) as events,
    ):
        for number in numbers():
            session = f"live-{sys.argv[2]}-{number % 7}"
            text = f"like to-go-{number}" if number % 2 else "x" * 300
            if number % 3 == 0:
                payload = json.dumps({"session_id": session, "prompt": text})
                id = Spool(project).accept("codex", payload.encode()).id
            elif number % 3 == 1:
                id = (await plans.save(plan(session, task_description=text))).id
            else:
                id = (await events.save(event("stop", session, tool="codex", command=text))).id
            print(id, number, flush=True)


anyio.run(main)
