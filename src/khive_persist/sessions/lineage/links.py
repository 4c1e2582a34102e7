"""Sessions that came from others: forks, and sessions that another one started."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement

# Only messages of forks, and the first of a session that names another, have one of these keys. To
# look for the text first is several times as fast as to read each message's JSON.
_MARKS: Final = ('"sessions":[', '"forked_from":', '"parent_session_id":')
_FIELDS: Final = ("$.session_id", "$.metadata.sessions", "$.forked_from", "$.parent_session_id")


class Link(NamedTuple):
    """Another session, and what it has to do with this one.

    Attributes:
        session_id: The other session.
        is_recorded: Whether any message of its own is recorded.
        messages: How many messages both have; None where the tool only names the other.
        at: The last of those; else None.
    """

    session_id: str
    is_recorded: bool
    messages: int | None = None
    at: datetime | None = None


class Links(NamedTuple):
    """The sessions that a session came from, and those that came from it, the earliest first.

    Attributes:
        forked_from: The session that it goes on from, with a history in common; None for none. A
            tool that resumes a session under another id makes such a fork.
        forks: Those that go on from it.
        started_by: The session whose agent started it, as older versions of Codex have it.
        started: Those that its agents started.
    """

    forked_from: Link | None = None
    forks: tuple[Link, ...] = ()
    started_by: Link | None = None
    started: tuple[Link, ...] = ()


class _Shared(NamedTuple):
    messages: int
    at: str


async def find_links(reader: Reader, session_id: str) -> Links:
    """The links of one session; every message is looked through, about 4 s of CPU for each GB.

    Where a history was handed on several times, a session is a fork of the one that said the last
    message that they have in common.

    Args:
        reader: Of the messages.
        session_id: The session.

    Raises:
        StoreError: As its subclasses say.
    """
    shared: dict[str, dict[str, _Shared]] = {}
    named: dict[str, str] = {}
    parents: dict[str, str] = {}
    for session, others, forked_from, parent, created_at in await reader.fetch(_marked):
        if not isinstance(session, str):
            continue
        # A copy whose original is not recorded stands under the fork that was read first.
        owner = forked_from if isinstance(forked_from, str) else session
        known = codec.column(others)
        for other in known if isinstance(known, list) else ():
            if isinstance(other, str):
                have = shared.setdefault(other, {})
                before = have.get(owner, _Shared(0, ""))
                have[owner] = _Shared(before.messages + 1, max(before.at, str(created_at)))
        if isinstance(forked_from, str):
            named[session] = forked_from
        if isinstance(parent, str):
            parents[session] = parent
    origins = named | {fork: _last(have) for fork, have in shared.items()}
    forks = sorted(fork for fork, origin in origins.items() if origin == session_id)
    started = sorted(one for one, parent in parents.items() if parent == session_id)
    origin, parent = origins.get(session_id), parents.get(session_id)
    mentioned = [*forks, *started, *filter(None, (origin, parent))]
    there = {row[0] for row in await reader.fetch(partial(_recorded, mentioned))}

    def link(other: str, have: _Shared | None) -> Link:
        at = clock.from_column(have.at) if have else None
        return Link(other, other in there, have.messages if have else None, at)

    return Links(
        link(origin, shared.get(session_id, {}).get(origin)) if origin else None,
        _by_time(link(fork, shared.get(fork, {}).get(session_id)) for fork in forks),
        link(parent, None) if parent else None,
        tuple(link(one, None) for one in started),
    )


def _last(have: dict[str, _Shared]) -> str:
    return max(have, key=lambda session: (have[session].at, have[session].messages, session))


def _by_time(links: Iterable[Link]) -> tuple[Link, ...]:
    return tuple(sorted(links, key=lambda link: (clock.to_text(link.at) if link.at else "", link)))


def _marked(source: Source) -> Statement:
    wanted = " OR ".join(f"instr({source.content}, ?)" for _ in _MARKS)
    columns = ", ".join(source.extract(path) for path in _FIELDS)
    told = " OR ".join(f"{source.extract(path)} IS NOT NULL" for path in _FIELDS[1:])
    sql = f"SELECT {columns}, {source.created_at} FROM {source.sql} WHERE ({wanted}) AND ({told})"
    return Statement(sql, list(_MARKS))


def _recorded(sessions: list[str], source: Source) -> Statement:
    session = source.extract("$.session_id")
    marks = ", ".join("?" * len(sessions)) or "NULL"
    sql = f"SELECT DISTINCT {session} FROM {source.sql} WHERE {session} IN ({marks})"
    return Statement(sql, list(sessions))
