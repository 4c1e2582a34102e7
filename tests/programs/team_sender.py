"""python -m tests.programs.team_sender URL START END SESSIONS: send records of a team over NATS.

Records START to END, of so many sessions in turn; each tenth has a second version, sent with the
batch after its first. A line says how many are acknowledged, after each batch; lines of stdin say
how many it may send.
"""

import sys

import anyio
import anyio.to_thread

from khive_persist.store import codec
from khive_persist.team.jetstream_destination import JetStreamDestination
from khive_persist.team.team_record import TeamRecord

BATCH = 100


def record(number: int, sessions: int, version: int = 1) -> TeamRecord:
    session = f"s{number % sessions}"
    content = {
        "event_type": "post_tool_use", "tool": "claude-code", "success": True, "number": number,
        "session_id": session, "version": version,
    }  # fmt: skip
    return TeamRecord(
        person=f"p{number % sessions % 3}",
        machine=f"m{number % sessions}",
        project="project",
        purpose="claude_hooks",
        session=session,
        id=f"e{number:06}",
        # As those of a change log, they grow from record to record, too.
        version=number * 10 + version,
        form="all",
        created_at=f"2026-11-21 {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000",
        content=codec.dump(content),
    )


def has_second(number: int) -> bool:
    return number % 10 == 0


async def send(url: str, start: int, end: int, sessions: int) -> None:
    destination = JetStreamDestination(url)
    second: list[TeamRecord] = []
    allowed = 0
    for first in range(start, end, BATCH):
        numbers = range(first, min(first + BATCH, end))
        while allowed < numbers.stop:
            allowed = int(await anyio.to_thread.run_sync(sys.stdin.readline))
        await destination.send([*(record(number, sessions) for number in numbers), *second])
        second = [record(number, sessions, 2) for number in numbers if has_second(number)]
        print(numbers.stop, flush=True)
    await destination.send(second)
    await destination.close()
    print("end", flush=True)


if __name__ == "__main__":
    start, end, sessions = map(int, sys.argv[2:])
    anyio.run(send, sys.argv[1], start, end, sessions)
