"""Ends of tool calls, counted once: by hook events, and by messages where no event tells of them.

The end of a call is the event after it. Where there is none and the transcript knows how the call
ended, the event before it says so, and is marked. A call of which no event tells is counted by
the message that has its result: `unreported_calls`, `unreported_failures`.
"""

from typing import Final

from khive_persist.models.event_types import POST, PRE
from khive_persist.store.sqlite.statements import Source

_PRE: Final = ", ".join(f"'{name}'" for name in PRE)
_POST: Final = ", ".join(f"'{name}'" for name in POST)


def is_end(source: Source) -> str:
    """Tell in SQL whether an event is the end of a tool call."""
    kind = source.extract("$.event_type")
    return f"({kind} IN ({_POST}) OR ({kind} IN ({_PRE}) AND {stands_for_end(source)}))"


def stands_for_end(source: Source) -> str:
    """Tell in SQL whether an event before a call says how it ended, as no event came after it."""
    return f"{source.extract('$.metadata.has_no_end_event')} IS 1"


def unreported(source: Source, name: str) -> str:
    """Count in SQL the `calls` or `failures` of a message that no event tells of."""
    count = source.extract(f"$.unreported_{name}")
    return f"CASE typeof({count}) WHEN 'integer' THEN max({count}, 0) ELSE 0 END"
