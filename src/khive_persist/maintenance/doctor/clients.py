"""Report events of unknown clients, unknown lines of transcripts, and lost events."""

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
    """Return lines that count the events without a known client, or without a session."""
    async with reading(project, *purposes) as reader:
        counts = await count_other_clients(reader)
    lines = []
    for group in counts:
        if group.client == UNKNOWN:
            lines.append(
                f"{group.events} events are of a client that is not known, {group.without_session}"
                ' of them without a session: khive-persist query "SELECT * FROM events WHERE tool ='
                f" '{UNKNOWN}'\""
            )
        elif group.without_session:
            lines.append(f"{group.without_session} events of {group.client} have no session")
    return lines


async def unknown_lines(project: Project) -> list[str]:
    """Return the unknown kinds of lines of transcripts, one line a tool."""
    async with reading(project, CONVERSATIONS) as reader:
        unknown = await count_unknown_lines(reader)
    lines = []
    for tool in dict.fromkeys(entry.tool for entry in unknown):
        kinds = [f"{entry.kind} ({entry.lines})" for entry in unknown if entry.tool == tool]
        lines.append(
            f"{tool} writes lines that are not known here, kept as they are and no messages:"
            f" {', '.join(kinds)}; a newer khive-persist may read them"
        )
    return lines


def lost_events() -> list[str]:
    """Return lines that count the events that no hook could keep, or not in time.

    Those that a later hook has told of are not among them.
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
    dropped, unsure = times[spool_writer.NOT_KEPT], times[spool_writer.NOT_KNOWN]
    lines = []
    if dropped:
        lines.append(
            f"{len(dropped)} events could not be kept since {_minute(dropped)}: neither their"
            " project nor the home directory took them"
        )
    if unsure:
        lines.append(
            f"of {len(unsure)} events since {_minute(unsure)} it is not known whether they are"
            " kept, as the disk took too long: those that came to it are recorded"
        )
    return lines


def _minute(times: list[int]) -> str:
    return f"{datetime.fromtimestamp(min(times) / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
