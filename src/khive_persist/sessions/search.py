"""Search all that is recorded in a project: by words, of every session, the best first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from anyio.to_thread import run_sync

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.capture.drain import drain
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    PLANNER_SESSIONS,
)
from khive_persist.models.query import checked_count
from khive_persist.opening import existing_project
from khive_persist.project import Project
from khive_persist.search_index import index_file
from khive_persist.search_index.excerpt import Marker
from khive_persist.search_index.expression import MAX_CANDIDATES, compiled
from khive_persist.search_index.follow import catch_up
from khive_persist.search_index.link import RecordLink
from khive_persist.search_index.near import near_words
from khive_persist.search_index.query import Criterion, Query, criterion, parse
from khive_persist.search_index.ranking import Matches, Ranked, by_session, choose, find_matches
from khive_persist.search_index.result import PassageKind, SearchHit, SearchResult, SessionHits
from khive_persist.search_index.semantic.fusion import with_nearest
from khive_persist.search_index.semantic.query_vector import QueryVector, query_vector
from khive_persist.search_index.texts import current_texts, indexed_texts
from khive_persist.sessions.definitions import plan_order_sql
from khive_persist.sessions.titles import read_titles
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement
from khive_persist.store.sqlite.connection import Connection

DEFAULT_LIMIT: Final = 20
# What is not among the best of all by its words is not ranked.
MAX_LIMIT: Final = MAX_CANDIDATES
_TITLED: Final = (PLANNER_SESSIONS, *EVENT_FILES.values(), CONVERSATIONS, APPLICATION_SESSIONS)


class Looked(NamedTuple):
    """A look at the index: what matched, and the texts of what is shown.

    Attributes:
        matches: The matches, without those whose records lack the text by now.
        chosen: Those that are shown, in order.
        texts: The texts of that as they are now, by the number of the passage.
        near: Words that are near those that match nothing.
    """

    matches: Matches
    chosen: list[Ranked]
    texts: Mapping[int, str]
    near: list[str]


async def search(
    query: str,
    *,
    limit: int = DEFAULT_LIMIT,
    dir: Path | str | None = None,
    project: Project | None = None,
    session_id: str | None = None,
    tool: str | None = None,
    client: str | None = None,
    agent_id: str | None = None,
    kind: PassageKind | None = None,
    path: str | None = None,
    failed: bool | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    near: bool = False,
    semantic: bool = False,
) -> SearchResult:
    """Search prompts, answers, commands, outputs, errors, paths, plans, to-dos and notes.

        result = await search('deadlock OR "database is locked" tool:Bash')
        for session in result.sessions:
            for hit in session.hits:
                print(session.title, hit.kind, hit.excerpt)

    The spool is brought in before, and what is new into the index, for two seconds at most:
    `behind` says what is missing then. Where nothing matches, `matched` is 0. Of more than 20,000
    passages that match, the newest so many are ranked.

    Args:
        query: Words, which are joined by AND; phrases in quotes, prefixes as `lock*`, AND, OR, NOT,
            parentheses, and filters: path: tool: kind: session: since: until: failed: client:
            agent:.
        limit: At most so many hits, of all sessions together; there are never more than 500.
        dir: The directory that holds `.khive`.
        project: The project, where the caller has it open; its spool is not brought in.
        session_id: The id of a session, or the beginning of one.
        tool: The name of a tool, as `Bash`, or of a client.
        client: The name of a client, as `claude-code`.
        agent_id: The id of a subagent, or `main`.
        kind: The kind of the passages.
        path: A file's path, or a part of one, of at least three characters.
        failed: Whether the passages are of calls that failed.
        since: The time of the first record; as text `2h`, `3d`, or a time in ISO form.
        until: The time before which the last record is.
        near: Whether words are sought that are near those that match nothing.
        semantic: Whether passages are sought, too, that are near in meaning. New passages get
            their vectors before, for two seconds at most: `vectors` says what is missing then, and
            why. Where the source of vectors fails, the search goes by words.

    Raises:
        InvalidQueryError: The query cannot be understood, `search.enabled` is false, or meaning is
            asked for where `search.semantic` is off.
        InvalidSettingsError: The source of vectors is not set as it has to be.
        MissingExtraError: The extra `semantic` is not installed.
        ProjectError: There is no project.
        StoreError: The index cannot be made or read.
    """
    filters: dict[str, str | bool | datetime | None] = {
        "session": session_id,
        "tool": tool,
        "client": client,
        "agent": agent_id,
        "kind": kind,
        "path": path,
        "failed": failed,
        "since": since,
        "until": until,
    }
    parsed = parse(query).with_criteria(criteria_of(filters))
    if project is None:
        project = existing_project(dir)
        await run_sync(drain, project)
    behind = await run_sync(catch_up, project)
    vector = await run_sync(vector_of, project, parsed) if semantic else None
    return await search_index(project, parsed, behind, limit=limit, near=near, vector=vector)


def vector_of(project: Project, query: Query) -> QueryVector:
    """Return the vector of a search, as `query_vector` does by the settings of a project."""
    return query_vector(project, configuration.load(project.config), query)


def criteria_of(filters: Mapping[str, str | bool | datetime | None]) -> list[Criterion]:
    """Return the filters with a value, by the names that they have in a query.

    Raises:
        InvalidQueryError: One cannot have its value.
    """
    return [
        criterion(name, value)  # type: ignore[arg-type]
        for name, value in filters.items()
        if value is not None
    ]


async def search_index(
    project: Project,
    query: Query,
    behind: int | None,
    *,
    limit: int = DEFAULT_LIMIT,
    near: bool = False,
    vector: QueryVector | None = None,
) -> SearchResult:
    """Search the index as it is.

    Args:
        project: The project, which is trusted.
        query: The parsed query.
        behind: The number of changes that the index lacks, as the answer says it.
        limit: At most so many hits.
        near: Whether words are sought that are near those that match nothing.
        vector: The vector of the query, where meaning is asked for.

    Raises:
        InvalidQueryError: The limit is no number from 0.
        StoreError: The index, or a file with titles, cannot be read.
    """
    most = checked_count("limit", limit)
    looked = await run_sync(_look, project, query, most or 0, near, vector)
    marker = Marker(query)
    titles = await _titles(project, [entry.candidate.session_id for entry in looked.chosen])
    counts = {id: len(entries) for id, entries in by_session(looked.matches.ranked).items()}
    root = str(project.root.resolve())
    sessions = [
        SessionHits(
            session_id,
            titles.get(session_id, ""),
            root,
            counts[session_id],
            [_hit(entry, marker, looked.texts) for entry in entries],
        )
        for session_id, entries in by_session(looked.chosen).items()
    ]
    return SearchResult(
        query=query.text,
        mode="exact" if vector is None or vector.row is None else "hybrid",
        matched=looked.matches.total,
        shown=len(looked.chosen),
        behind=behind,
        sessions=sessions,
        near=looked.near,
        vectors=None if vector is None else vector.state,
    )


def _look(
    project: Project, query: Query, limit: int, near: bool, vector: QueryVector | None
) -> Looked:
    with index_file.reading(project) as connection:
        if connection is None:
            return Looked(Matches(0, []), [], {}, [])
        matches = find_matches(connection, compiled(query), clock.now())
        if vector is not None and vector.row is not None:
            matches = with_nearest(connection, matches, query, vector.model, vector.row)
        looked = _with_texts(project, connection, query, matches, limit)
        is_sought = near and not looked.matches.total
        return looked._replace(near=near_words(connection, query) if is_sought else [])


def _with_texts(
    project: Project, connection: Connection, query: Query, matches: Matches, limit: int
) -> Looked:
    """Read what is shown from its records; what they have no longer gives room to others."""
    marker = Marker(query)
    texts: dict[int, str] = {}
    entries = matches.ranked
    while True:
        chosen = choose(entries, limit)
        unread = [entry.candidate for entry in chosen if entry.candidate.number not in texts]
        if not unread:
            total = matches.total - (len(matches.ranked) - len(entries))
            return Looked(Matches(total, entries), chosen, texts, [])
        current = current_texts(project, unread)
        former = indexed_texts(connection, current)
        texts |= {
            number: text
            for number, text in current.items()
            if text == former.get(number) or marker.is_match(text)
        }
        lost = {candidate.number for candidate in unread} - texts.keys()
        entries = [entry for entry in entries if entry.candidate.number not in lost]


def _hit(entry: Ranked, marker: Marker, texts: Mapping[int, str]) -> SearchHit:
    candidate = entry.candidate
    excerpt, marks = marker.excerpt(texts[candidate.number])
    session_id = candidate.session_id
    return SearchHit(
        record_id=candidate.record_id,
        purpose=candidate.purpose,
        kind=candidate.kind,
        client=candidate.client,
        tool_name=candidate.tool_name,
        agent_id=candidate.agent_id,
        created_at=candidate.created_at,
        failed=bool(candidate.failed),
        excerpt=excerpt,
        marks=marks,
        rank=entry.rank,
        link=str(RecordLink(session_id, candidate.record_id)) if session_id else "",
    )


async def _titles(project: Project, ids: Sequence[str]) -> dict[str, str]:
    sessions = list(dict.fromkeys(id for id in ids if id))
    if not sessions:
        return {}
    files = [(project.database(purpose.file), purpose) for purpose in _TITLED]
    async with Reader(files) as reader:
        rows = await reader.fetch(lambda source: _tasks(source, sessions))
        tasks: dict[str, str | None] = dict.fromkeys(sessions)
        return await read_titles(reader, tasks | dict(map(tuple, rows)))


def _tasks(source: Source, sessions: Sequence[str]) -> Statement:
    """Select the tasks of the plans of sessions, of each that of the latest plan last."""
    session = source.extract("$.session_id")
    return Statement(
        f"SELECT {session}, {source.extract('$.task_description')}"
        f" FROM {source.only(PLANNER_SESSIONS.name).sql}"
        f" WHERE {session} IN (SELECT value FROM json_each(?)) ORDER BY {plan_order_sql(source)}",
        [codec.dump(sessions)],
    )
