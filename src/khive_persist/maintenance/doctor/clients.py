"""What came of clients that nobody knows, and what no hook could keep."""

import os
from contextlib import suppress
from datetime import UTC, datetime

from khive_persist.capture import spool_writer
from khive_persist.capture.client_recognition import UNKNOWN
from khive_persist.models.purposes import CONVERSATIONS, Purpose
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions.other_clients import count_other_clients
from khive_persist.sessions.unknown_lines import count_unknown_lines
from khive_persist.trust import marks


async def unknown_clients(project: Project, purposes: list[Purpose]) -> list[str]:
    """Return what events are of a client that is not known, each one line."""
    async with reading(project, *purposes) as reader:
        found = await count_other_clients(reader)
    lines = []
    for one in found:
        if one.client == UNKNOWN:
            lines.append(
                f"{one.events} events are of a client that is not known, {one.without_session} of"
                ' them without a session: khive-persist query "SELECT * FROM events WHERE tool ='
                f" '{UNKNOWN}'\""
            )
        elif one.without_session:
            lines.append(f"{one.without_session} events of {one.client} have no session")
    return lines


async def unknown_lines(project: Project) -> list[str]:
    """Return which kinds of lines of transcripts are not known, one line a tool."""
    async with reading(project, CONVERSATIONS) as reader:
        found = await count_unknown_lines(reader)
    lines = []
    for tool in dict.fromkeys(one.tool for one in found):
        kinds = [f"{one.kind} ({one.lines})" for one in found if one.tool == tool]
        lines.append(
            f"{tool} writes lines that are not known here, kept as they are and no messages:"
            f" {', '.join(kinds)}; a newer khive-persist may read them"
        )
    return lines


def lost_events() -> list[str]:
    """Return how many events no hook could keep, or not in time, of which none could speak
    since.
    """
    state = marks.state_folder()
    if state is None:
        return []
    folder = f"{state}{spool_writer.LOST}"
    times: dict[str, list[int]] = {spool_writer.NOT_KEPT: [], spool_writer.NOT_KNOWN: []}
    with suppress(OSError):
        for name in os.listdir(folder):
            at = name.partition("-")[0]
            # It has come to the disk, or a hook tells of it.
            with suppress(FileNotFoundError):
                if at.isdecimal():
                    times.setdefault(os.readlink(f"{folder}/{name}"), []).append(int(at))
    lost, late = times[spool_writer.NOT_KEPT], times[spool_writer.NOT_KNOWN]
    lines = []
    if lost:
        lines.append(
            f"{len(lost)} events could not be kept since {_minute(lost)}: neither their project nor"
            " the home directory took them"
        )
    if late:
        lines.append(
            f"of {len(late)} events since {_minute(late)} it is not known whether they are kept, as"
            " the disk took too long: those that came to it are recorded"
        )
    return lines


def _minute(times: list[int]) -> str:
    return f"{datetime.fromtimestamp(min(times) / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
