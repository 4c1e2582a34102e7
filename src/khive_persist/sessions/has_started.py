"""The test whether the work of a session has begun, by its records."""

from typing import Final

from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    FOCUS_CHAINS,
    HOOK_EVENTS,
    MEASUREMENTS,
    OUTCOMES,
    SCORES,
    Purpose,
)
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement

PURPOSES: Final = (
    *HOOK_EVENTS.values(),
    CONVERSATIONS,
    FOCUS_CHAINS,
    APPLICATION_SESSIONS,
    MEASUREMENTS,
    SCORES,
    OUTCOMES,
)
# A tool sends these before anybody has asked it for anything.
_BEFORE_WORK: Final = ("session_start", "setup", "instructions_loaded")


async def has_begun(reader: Reader, session_id: str) -> bool:
    """Return whether anything of a session's work is recorded, by its whole id.

    Work is every hook event but those of the session's own start, and every message, to-do list,
    measurement, score and verdict; of an application's session, what came after its first version.
    A plan is none: it is made before the agent starts, and tells nothing of what comes of it.

    Args:
        reader: A reader of `PURPOSES`.
        session_id: The session's id.

    Raises:
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(lambda source: statement(source, session_id))
    return any(row[0] for row in rows)


def statement(source: Source, session_id: str) -> Statement:
    """Select a number for each file: 1 where it has a record of the work, else 0."""
    selects = [
        f"SELECT EXISTS (SELECT 1 FROM {source.tables[purpose.name]}"
        f" WHERE {source.extract('$.session_id')} = ?{_work(source, purpose)})"
        for purpose in PURPOSES
        if purpose.name in source.tables
    ]
    if not selects:
        return Statement("SELECT 0", [])
    return Statement(" UNION ALL ".join(selects), [session_id] * len(selects))


def _work(source: Source, purpose: Purpose) -> str:
    if purpose in HOOK_EVENTS.values():
        words = ", ".join(f"'{word}'" for word in _BEFORE_WORK)
        # One of an old row may have no type.
        return f" AND coalesce({source.extract('$.event_type')}, '') NOT IN ({words})"
    if purpose == APPLICATION_SESSIONS:
        return f" AND coalesce({source.extract('$.version')}, 1) > 1"
    return ""
