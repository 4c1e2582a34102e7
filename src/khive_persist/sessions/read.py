"""`Session`: all that is recorded of one session, in every file."""

from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.assignment import Assignment
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import DEFAULT_TOOL, HookEvent
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import (
    AGENT_HOOKS,
    BUILT_IN,
    BUILT_IN_NAMES,
    HOOK_EVENTS,
    Purpose,
)
from khive_persist.models.query import LAST_CHARACTER, Filter, column, field
from khive_persist.models.score import Score
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.store.kinds import find_records, session_ids
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select
from khive_persist.store.sqlite.connection import MOST_ATTACHED
from khive_persist.store.store import Store

_MAX_NAMED: Final = 3
RECORDS: Final[tuple[type[Node], ...]] = (
    PlannerSession,
    HookEvent,
    Message,
    FocusChain,
    ApplicationSession,
    Measurement,
    Score,
    Assignment,
)

_OF_CALLS: Final[tuple[type[Node], ...]] = (PlannerSession, HookEvent, Message)
_FILES: Final = tuple(purpose for purpose in BUILT_IN if "session_id" in purpose.fields)
SESSION_FILES: Final = _FILES[:MOST_ATTACHED]


class Session(NamedTuple):
    """The records of one session, each kind in order of time."""

    plans: Sequence[PlannerSession] = ()
    events: Sequence[HookEvent] = ()
    messages: Sequence[Message] = ()
    focus_chains: Sequence[FocusChain] = ()
    application_sessions: Sequence[ApplicationSession] = ()
    measurements: Sequence[Measurement] = ()
    scores: Sequence[Score] = ()
    assignments: Sequence[Assignment] = ()


def client_of(session: Session) -> str:
    """Return the client of the first event, else of the first message; an empty string for none."""
    contents = (record.content for record in (*session.events, *session.messages))
    names = (content.get("tool") for content in contents if isinstance(content, dict))
    return next((name for name in names if isinstance(name, str) and name), "")


def event_purposes(session: Session) -> dict[str, str]:
    """Return the name of the purpose of each event, by its id."""
    return {
        event.id: HOOK_EVENTS.get(str(event.content.get("tool", DEFAULT_TOOL)), AGENT_HOOKS).name
        for event in session.events
        if isinstance(event.content, dict)
    }


async def read_session(root: Path, id: str) -> Session:
    """Return all records of the session whose id is this, or begins so; empty where there are none.

    Raises:
        NotFoundError: Several sessions begin so.
    """
    session_id = await _find_id(Project(root), id)
    if session_id is None:
        return Session()
    records: list[Any] = []
    for record_type in RECORDS:
        async with open_store(record_type, dir=root, read_only=True) as store:
            of_session = field("session_id") == session_id
            records.append(await store.find(of_session, order_by=column("created_at")))
    return Session(*records)


class SessionReader:
    """Reads what tells of calls, prompts and plans, of several sessions, with files opened once.

    async with SessionReader(root) as sessions:
        session = await sessions.read(session_id)
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stores: dict[type[Node], Store[Any]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "SessionReader":
        for record_type in _OF_CALLS:
            opening = open_store(record_type, dir=self._root, read_only=True)
            self._stores[record_type] = await self._stack.enter_async_context(opening)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def read(self, session_id: str) -> Session:
        """Return the plans, events and messages of the session of this whole id."""
        of_session, order = field("session_id") == session_id, column("created_at")
        plans, events, messages = [
            await self._stores[record_type].find(of_session, order_by=order)
            for record_type in _OF_CALLS
        ]
        return Session(plans=plans, events=events, messages=messages)


async def read_own_kinds(project: Project, id: str) -> dict[str, list[Node]]:
    """Return the records of a user's own kinds of the session whose id is this, or begins so.

    Returns:
        Lists in order of time, by the name of the purpose; those that are empty are left out.

    Raises:
        NotFoundError: Several sessions begin so.
    """
    session_id = await _find_id(project, id)
    purposes = [
        purpose for purpose in known_purposes(project) if purpose.name not in BUILT_IN_NAMES
    ]
    files = [(project.database(purpose.file), purpose) for purpose in purposes]
    return (
        {} if session_id is None else await find_records(files, field("session_id") == session_id)
    )


async def whole_id(project: Project, id: str) -> str:
    """Return the id of the session that is named so, or begins so, in records of any kind.

    Events that wait in the spool are brought in first.

    Raises:
        NotFoundError: There is none, or several begin so.
    """
    session_id = await _find_id(project, id)
    if session_id is None:
        raise NotFoundError(
            f"nothing is recorded of a session {id!r}",
            hint="khive-persist sessions lists them; khive-persist sync reads transcripts",
        )
    return session_id


async def _find_id(project: Project, id: str) -> str | None:
    ids = [id] if await is_known(project, id) else await ids_beginning(project, id, _MAX_NAMED + 1)
    return only_one(ids, id)


def only_one(ids: Sequence[str], prefix: str) -> str | None:
    """Return the one id that begins so, or None for none.

    Raises:
        NotFoundError: There are several.
    """
    if len(ids) > 1:
        raise NotFoundError(
            f"several sessions begin with {prefix!r}: {', '.join(ids[:_MAX_NAMED])}",
            hint="write more of it",
        )
    return ids[0] if ids else None


async def find_session(project: Project, id: str) -> Filter:
    """Match the session of this id where a record has it, else those whose ids begin so.

    Events that wait in the spool are brought in first.
    """
    return field("session_id") == id if await is_known(project, id) else begins(id)


async def is_known(project: Project, id: str) -> bool:
    """Return whether a record of any kind has this id as its session's.

    `task-1` is one session, also to a file that has only `task-10`. Events that wait in the spool
    are brought in first.
    """
    async with reading(project, *SESSION_FILES) as reader:
        if await is_session(reader, id):
            return True
    return bool(await session_ids(_other_files(project), field("session_id") == id, limit=1))


async def ids_beginning(project: Project, prefix: str, limit: int) -> list[str]:
    """Return the session ids that begin so, in order, in records of any kind, up to a limit."""

    def build(source: Source) -> Statement:
        columns = f"DISTINCT {source.extract('$.session_id')}"
        return select(source, [begins(prefix)], columns=columns, limit=limit)

    async with reading(project, *SESSION_FILES) as reader:
        ids = {str(row[0]) for row in await reader.fetch(build)}
    ids |= await session_ids(_other_files(project), begins(prefix), limit=limit)
    return sorted(ids)[:limit]


def other_purposes(project: Project) -> list[Purpose]:
    """Return the purposes whose records have a session, besides `SESSION_FILES`."""
    purposes: Sequence[Purpose] = ()
    # A description of a newer version cannot be read here; `doctor` says so.
    with suppress(InvalidRecordError):
        purposes = known_purposes(project)
    own_kinds = (purpose for purpose in purposes if purpose.name not in BUILT_IN_NAMES)
    return [*_FILES[MOST_ATTACHED:], *own_kinds]


def _other_files(project: Project) -> list[tuple[Path, Purpose]]:
    return [(project.database(purpose.file), purpose) for purpose in other_purposes(project)]


async def is_session(reader: Reader, id: str) -> bool:
    """Return whether a record that the reader sees has this id as its session's."""
    exact = field("session_id") == id
    return bool(await reader.fetch(lambda source: select(source, [exact], limit=1, columns="1")))


def begins(session_id: str) -> Filter:
    """Match the session of this id, or of an id that begins so."""
    # A range and not LIKE, so that the index serves.
    last = session_id + LAST_CHARACTER
    return (field("session_id") >= session_id) & (field("session_id") <= last)
