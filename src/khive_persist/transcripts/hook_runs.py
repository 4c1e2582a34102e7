"""Hooks that ran while a session did, as its transcript tells, and the events that came of them.

Copilot CLI notes for each hook what that is sent. Where the time in it is that of an event of the
same type, the event has come; else it was lost on the way, and can be made anew as it was.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.capture import client_recognition
from khive_persist.models.hook_event import HookEvent
from khive_persist.tools import TOOLS
from khive_persist.tools.message_part import HOOK, NO_MESSAGE, mapping_of
from khive_persist.transcripts.backfill import event

REASON: Final = "the transcript has what the hook was sent, and no event came of it"


class HookRun(NamedTuple):
    """A hook that ran.

    Attributes:
        tool: The AI tool.
        event: The type of its event.
        at: The time in its payload, in milliseconds.
        created_at: The time of the line that tells of it, as UTC text.
        payload: The payload that it was sent.
    """

    tool: str
    event: str
    at: int
    created_at: str
    payload: dict[str, Any]

    def reconstructed(self) -> HookEvent:
        """Return the event made anew."""
        key = f"{self.at} {self.event}"
        return event(self.tool, key, self.payload, self.created_at)


def run_in(content: Mapping[str, Any], created_at: str) -> HookRun | None:
    """Return the hook that a line of a transcript tells of; None for any other line."""
    if content.get("role") != NO_MESSAGE or content.get("kind") != HOOK:
        return None
    tool = TOOLS.get(str(content.get("tool")))
    payload = mapping_of(content.get("payload"))
    at = milliseconds(payload.get("timestamp"))
    if tool is None or at is None:
        return None
    fields = tool.describe(client_recognition.in_our_words(payload))
    return HookRun(tool.name, str(fields["event_type"]), at, created_at, dict(payload))


def milliseconds(timestamp: object) -> int | None:
    """Return the time in a payload, a text or a number of milliseconds; None for any other."""
    if isinstance(timestamp, int) and not isinstance(timestamp, bool):
        return timestamp
    at = clock.from_column(timestamp) if isinstance(timestamp, str) else None
    return None if at is None else round(at.timestamp() * 1000)
