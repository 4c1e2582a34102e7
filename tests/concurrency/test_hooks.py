"""Many hooks at once."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from khive_persist.capture import hook_path
from khive_persist.capture.drain import drain
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_writer

PROCESSES = 64
LOCKED_SECONDS = 5.0
PURPOSE = HOOK_EVENTS["claude-code"]
COMMAND = [sys.executable, "-I", "-S", str(hook_path()), "--tool", "claude-code"]

Event = tuple[str, int]


class Sent(NamedTuple):
    """What one worker sent.

    Attributes:
        kept: What the hook called kept.
        refused: What it did not, by exit code and a line: on a busy machine its time may be over.
        slowest: How long the slowest took, in seconds.
    """

    kept: list[Event]
    refused: list[Event]
    slowest: float


def send(project: Project, worker: int, each: int) -> Sent:
    """Send one worker's events one after the other."""
    sent = Sent([], [], 0.0)
    for number in range(each):
        payload = {"hook_event_name": "Stop", "session_id": f"w{worker}", "number": number}
        # All of it waits in the pipe before the hook starts. This process may be kept from writing
        # for longer than a hook waits, which then keeps what has come: an event without a payload.
        stdin, payload_end = os.pipe()
        with open(payload_end, "wb") as pipe:
            pipe.write(json.dumps(payload).encode())
        began = time.monotonic()
        with open(stdin, "rb") as pipe:
            done = subprocess.run(
                COMMAND, stdin=pipe, capture_output=True, cwd=project.root, check=False
            )
        sent = sent._replace(slowest=max(sent.slowest, time.monotonic() - began))
        if done.returncode:
            assert (done.returncode, done.stdout, done.stderr[:12]) == (1, b"", b"khive-hook: ")
            sent.refused.append((f"w{worker}", number))
        else:
            assert (done.stdout, done.stderr) == (b"", b"")
            sent.kept.append((f"w{worker}", number))
    return sent


def stored(project: Project) -> list[Event]:
    connection = sqlite3.connect(project.database(PURPOSE.file))
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return connection.execute(
            "SELECT session_id, json_extract(content, '$.payload.number')"
            " FROM hook_events JOIN events USING (id)"
        ).fetchall()
    finally:
        connection.close()


@pytest.mark.crowd
@pytest.mark.parametrize("each", [8, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("locked", [False, True], ids=["free", "locked for 5 s"])
def test_the_events_of_64_processes_are_stored_once_each(
    project: Project, locked: bool, each: int
) -> None:
    open_writer(project.database(PURPOSE.file), PURPOSE).close()
    released = threading.Event()
    holder = sqlite3.connect(
        project.database(PURPOSE.file), isolation_level=None, check_same_thread=False
    )
    if locked:
        holder.execute("BEGIN EXCLUSIVE")

        def release() -> None:
            holder.execute("ROLLBACK")
            released.set()

        threading.Timer(LOCKED_SECONDS, release).start()
    with ThreadPoolExecutor(PROCESSES) as pool:
        sent = list(pool.map(lambda worker: send(project, worker, each), range(PROCESSES)))
    if locked:
        # 64 processes share the cores; waiting for the lock would add its five seconds to one call.
        assert max(one.slowest for one in sent) < LOCKED_SECONDS
        released.wait()
    holder.close()
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())
    kept = {event for one in sent for event in one.kept}
    refused = {event for one in sent for event in one.refused}
    assert len(kept | refused) == PROCESSES * each
    events = stored(project)
    assert len(events) == len(set(events))
    assert kept <= set(events) <= kept | refused
    # Whatever else the machine does, most come through.
    assert len(kept) > len(refused)
    ends = (".event", ".tmp") if not refused else (".event",)
    assert not [name for name in os.listdir(project.spool) if name.endswith(ends)]
