"""`Session`: all that is recorded of one session, in every file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.errors import NotFoundError
from khive_persist.opening import open_store, reading
from khive_persist.place import Place
from khive_persist.purposes import (
    BUILT_IN_NAMES,
    CONVERSATIONS,
    FOCUS_CHAINS,
    HOOK_EVENTS,
    PLANNER_SESSIONS,
)
from khive_persist.query import Filter, column, field
from khive_persist.records.application_session import ApplicationSession
from khive_persist.records.assignment import Assignment
from khive_persist.records.focus_chain import FocusChain
from khive_persist.records.hook_event import HookEvent
from khive_persist.records.measurement import Measurement
from khive_persist.records.message import Message
from khive_persist.records.node import Node
from khive_persist.records.planner_session import PlannerSession
from khive_persist.records.score import Score
from khive_persist.register import known_purposes
from khive_persist.store.kinds import find_records
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select

_MAX_NAMED: Final = 3
_OF_APPLICATIONS: Final[tuple[type[Node], ...]] = (
    ApplicationSession,
    Measurement,
    Score,
    Assignment,
)
_RECORDS: Final[tuple[type[Node], ...]] = (
    PlannerSession,
    HookEvent,
    Message,
    FocusChain,
    *_OF_APPLICATIONS,
)

# SQLite reads at most 10 files together.
SESSION_FILES: Final = (
    PLANNER_SESSIONS,
    *HOOK_EVENTS.values(),
    CONVERSATIONS,
    FOCUS_CHAINS,
    *(record.purpose for record in _OF_APPLICATIONS),
)


class Session(NamedTuple):
    """What is recorded of one session, each in order of time."""

    plans: Sequence[PlannerSession] = ()
    events: Sequence[HookEvent] = ()
    messages: Sequence[Message] = ()
    focus_chains: Sequence[FocusChain] = ()
    application_sessions: Sequence[ApplicationSession] = ()
    measurements: Sequence[Measurement] = ()
    scores: Sequence[Score] = ()
    assignments: Sequence[Assignment] = ()


async def read_session(root: Path, id: str) -> Session:
    """All that is recorded of the session whose id is this, or begins so; empty where nothing is.

    Raises:
        NotFoundError: Several sessions begin so.
        StoreError: As its subclasses say.
    """
    found: list[Any] = []
    for record in _RECORDS:
        async with open_store(record, dir=root, read_only=True) as store:
            found.append(await store.find(begins(id), order_by=column("created_at")))
    sessions = {str(one.content["session_id"]) for records in found for one in records}
    if len(sessions) > 1 and id not in sessions:
        some = ", ".join(sorted(sessions)[:_MAX_NAMED])
        raise NotFoundError(f"several sessions begin with {id!r}: {some}", hint="write more of it")
    if id in sessions:
        found = [[one for one in rs if one.content.get("session_id") == id] for rs in found]
    return Session(*found)


async def read_own_kinds(place: Place, id: str) -> dict[str, list[Node]]:
    """What kinds of a user's own have of the session whose id is this, or begins so.

    Returns:
        Lists in order of time, by the name of the purpose; those that are empty are left out.

    Raises:
        NotFoundError: Several sessions begin so.
        StoreError: As its subclasses say.
    """
    own = [one for one in known_purposes(place) if one.name not in BUILT_IN_NAMES]
    kinds = await find_records([(place.database(one.file), one) for one in own], begins(id))
    sessions = {one.content["session_id"] for records in kinds.values() for one in records}
    if len(sessions) > 1 and id not in sessions:
        some = ", ".join(sorted(sessions)[:_MAX_NAMED])
        raise NotFoundError(f"several sessions begin with {id!r}: {some}", hint="write more of it")
    if id in sessions:
        kinds = {
            name: [one for one in records if one.content["session_id"] == id]
            for name, records in kinds.items()
        }
    return {name: records for name, records in kinds.items() if records}


async def whole_id(place: Place, id: str) -> str:
    """The id of the session that is named so, or begins so.

    What waits in the spool is brought in before.

    Raises:
        NotFoundError: There is none, or several begin so.
        StoreError: As its subclasses say.
    """

    def build(source: Source) -> Statement:
        session_id = source.extract("$.session_id")
        columns = f"DISTINCT {session_id}"
        return select(source, [begins(id)], columns=columns, limit=_MAX_NAMED + 1)

    async with reading(place, *SESSION_FILES) as reader:
        if await is_session(reader, id):
            return id
        ids = sorted({str(row[0]) for row in await reader.fetch(build)})
    if not ids:
        raise NotFoundError(
            f"nothing is recorded of a session {id!r}",
            hint="khive-persist sessions lists them; khive-persist sync reads transcripts",
        )
    if len(ids) > 1:
        raise NotFoundError(
            f"several sessions begin with {id!r}: {', '.join(ids[:_MAX_NAMED])}",
            hint="write more of it",
        )
    return ids[0]


async def find_session(place: Place, id: str) -> Filter:
    """The session of this id where a record has it, else those whose ids begin so.

    What waits in the spool is brought in before.

    Raises:
        StoreError: As its subclasses say.
    """
    async with reading(place, *SESSION_FILES) as reader:
        return field("session_id") == id if await is_session(reader, id) else begins(id)


async def is_session(reader: Reader, id: str) -> bool:
    """Whether a record has this id as its session's.

    Args:
        reader: Of `SESSION_FILES`: `task-1` is one session, also to a file that has only `task-10`.
        id: A session's id, or the beginning of one.

    Raises:
        StoreError: As its subclasses say.
    """
    exact = field("session_id") == id
    return bool(await reader.fetch(lambda source: select(source, [exact], limit=1, columns="1")))


def begins(session_id: str) -> Filter:
    """The session of this id, or of an id that begins so."""
    # A range and not LIKE, so that the index serves; U+10FFFF sorts after whatever can follow.
    return (field("session_id") >= session_id) & (field("session_id") <= session_id + "\U0010ffff")
