"""Sessions that came from others: forks, and sessions that another one started."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.query import field
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, distinct, named

# Only messages of forks, and the first of a session that names another, have one of these keys. To
# look for the text first is several times as fast as to read each message's JSON.
_MARKS: Final = ('"sessions":[', '"forked_from":', '"parent_session_id":')
# By the names that they have in a `_Marked`.
_FIELDS: Final = {
    "copies": "$.metadata.sessions",
    "forked_from": "$.forked_from",
    "parent": "$.parent_session_id",
}


class Link(NamedTuple):
    """A link of a session to another one.

    Attributes:
        session_id: The other session.
        is_recorded: Whether any message of its own is recorded.
        messages: The number of messages that both have; None where the tool only names the other.
        at: The time of the last of those; else None.
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


class _Marked(NamedTuple):
    session: Any
    copies: Any
    forked_from: Any
    parent: Any
    created_at: Any


class _Shared(NamedTuple):
    messages: int
    at: str


async def find_links(reader: Reader, session_id: str) -> Links:
    """Return the links of one session, from all messages: about 4 s of CPU for each GB.

    Where a history was handed on several times, a session is a fork of the one that said the last
    message that they have in common.
    """
    shared: dict[str, dict[str, _Shared]] = {}
    named_origins: dict[str, str] = {}
    parents: dict[str, str] = {}
    for message in await reader.fetch_as(_Marked, _marked):
        session, forked_from = message.session, message.forked_from
        if not isinstance(session, str):
            continue
        # A copy whose original is not recorded stands under the fork that was read first.
        owner = forked_from if isinstance(forked_from, str) else session
        copies = codec.column(message.copies)
        for fork in copies if isinstance(copies, list) else ():
            if isinstance(fork, str):
                by_owner = shared.setdefault(fork, {})
                messages, at = by_owner.get(owner, _Shared(0, ""))
                by_owner[owner] = _Shared(messages + 1, max(at, str(message.created_at)))
        if isinstance(forked_from, str):
            named_origins[session] = forked_from
        if isinstance(message.parent, str):
            parents[session] = message.parent
    origins = named_origins | {fork: _last(by_owner) for fork, by_owner in shared.items()}
    forks = sorted(fork for fork, origin in origins.items() if origin == session_id)
    started = sorted(id for id, parent in parents.items() if parent == session_id)
    origin, parent = origins.get(session_id), parents.get(session_id)
    mentioned = [*forks, *started, *filter(None, (origin, parent))]
    is_mentioned = field("session_id").in_(mentioned)

    def build(source: Source) -> Statement:
        return distinct(source, "$.session_id", filters=[is_mentioned])

    recorded = {row[0] for row in await reader.fetch(build)}

    def link(other: str, common: _Shared | None) -> Link:
        at = clock.from_column(common.at) if common else None
        return Link(other, other in recorded, common.messages if common else None, at)

    return Links(
        link(origin, shared.get(session_id, {}).get(origin)) if origin else None,
        _by_time(link(fork, shared.get(fork, {}).get(session_id)) for fork in forks),
        link(parent, None) if parent else None,
        tuple(link(id, None) for id in started),
    )


def _last(by_owner: dict[str, _Shared]) -> str:
    return max(by_owner, key=lambda owner: (by_owner[owner].at, by_owner[owner].messages, owner))


def _by_time(links: Iterable[Link]) -> tuple[Link, ...]:
    return tuple(sorted(links, key=lambda link: (clock.to_text(link.at) if link.at else "", link)))


def _marked(source: Source) -> Statement:
    has_mark = " OR ".join(f"instr({source.content}, ?)" for _ in _MARKS)
    fields = {name: source.extract(path) for name, path in _FIELDS.items()}
    has_field = " OR ".join(f"{text} IS NOT NULL" for text in fields.values())
    columns = {"session": source.extract("$.session_id"), "created_at": source.created_at} | fields
    sql = f"SELECT {named(columns)} FROM {source.sql} WHERE ({has_mark}) AND ({has_field})"
    return Statement(sql, list(_MARKS))
