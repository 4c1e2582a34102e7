"""The test whether the work of a session has begun, by its records."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import chain
from typing import Final

from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    FOCUS_CHAINS,
    MEASUREMENTS,
    OUTCOMES,
    SCORES,
    Purpose,
)
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, union_all

# The files of each are read together: SQLite attaches ten at most.
PURPOSES: Final[tuple[tuple[Purpose, ...], ...]] = (
    tuple(EVENT_FILES.values()),
    (CONVERSATIONS, FOCUS_CHAINS, APPLICATION_SESSIONS, MEASUREMENTS, SCORES, OUTCOMES),
)
# A tool sends these before anybody has asked it for anything.
_BEFORE_WORK: Final = ("session_start", "setup", "instructions_loaded")


async def has_begun(
    open_reader: Callable[..., AbstractAsyncContextManager[Reader]], session_id: str
) -> bool:
    """Return whether anything of a session's work is recorded, by its whole id.

    Work is every hook event but those of the session's own start, and every message, to-do list,
    measurement, score and verdict; of an application's session, what came after its first version.
    A plan is none: it is made before the agent starts, and tells nothing of what comes of it.
    """
    for purposes in PURPOSES:
        async with open_reader(*purposes) as reader:
            rows = await reader.fetch(lambda source: statement(source, session_id))
            if any(row[0] for row in rows):
                return True
    return False


def statement(source: Source, session_id: str) -> Statement:
    """Select a number for each file: 1 where it has a record of the work, else 0."""
    selects = [
        f"SELECT EXISTS (SELECT 1 FROM {source.tables[purpose.name]}"
        f" WHERE {source.extract('$.session_id')} = ?{_work(source, purpose)})"
        for purpose in chain(*PURPOSES)
        if purpose.name in source.tables
    ]
    return union_all(selects, [session_id])


def _work(source: Source, purpose: Purpose) -> str:
    if purpose in EVENT_FILES.values():
        words = ", ".join(f"'{word}'" for word in _BEFORE_WORK)
        # One of an old row may have no type.
        return f" AND coalesce({source.extract('$.event_type')}, '') NOT IN ({words})"
    if purpose == APPLICATION_SESSIONS:
        return f" AND coalesce({source.extract('$.version')}, 1) > 1"
    return ""
