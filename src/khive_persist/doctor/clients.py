"""What came of clients that nobody knows, and what no hook could keep."""

import os
from datetime import UTC, datetime

from khive_persist.capture import arrival
from khive_persist.capture.recognition import UNKNOWN
from khive_persist.opening import reading
from khive_persist.place import Place
from khive_persist.purposes import CONVERSATIONS, Purpose
from khive_persist.store.other_clients import count_other_clients
from khive_persist.store.unknown_lines import count_unknown_lines
from khive_persist.trust import marks


async def unknown_clients(place: Place, purposes: list[Purpose]) -> list[str]:
    """What events are of a client that is not known, each one line."""
    async with reading(place, *purposes) as reader:
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


async def unknown_lines(place: Place) -> list[str]:
    """Which kinds of lines of transcripts are not known, one line a tool."""
    async with reading(place, CONVERSATIONS) as reader:
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
    """How many events no hook could keep, of which none could speak since, one line."""
    folder = marks.state_folder()
    try:
        names = sorted(os.listdir(f"{folder}{arrival.LOST}")) if folder is not None else []
    except OSError:
        return []
    times = [int(name.partition("-")[0]) for name in names if name.partition("-")[0].isdecimal()]
    if not times:
        return []
    since = datetime.fromtimestamp(min(times) / 1e9, UTC)
    return [
        f"{len(times)} events could not be kept since {since:%Y-%m-%d %H:%M} UTC: neither their"
        " project nor the home directory took them"
    ]
