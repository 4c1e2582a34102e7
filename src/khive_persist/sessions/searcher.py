"""`Searcher`: searches one project again and again, with what it reads kept open."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from anyio.to_thread import run_sync

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.capture.spool import is_anything_waiting
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    EVENT_FILES,
    PLANNER_SESSIONS,
)
from khive_persist.models.query import checked_count
from khive_persist.project import Project
from khive_persist.project_search import existing_project
from khive_persist.search_index.excerpt import Marker
from khive_persist.search_index.expression import MAX_CANDIDATES, compiled
from khive_persist.search_index.follow import catch_up
from khive_persist.search_index.link import RecordLink
from khive_persist.search_index.near import near_words
from khive_persist.search_index.query import Query
from khive_persist.search_index.ranking import Matches, Ranked, by_session, choose, find_matches
from khive_persist.search_index.result import SearchHit, SearchResult, SessionHits
from khive_persist.search_index.search_readers import SearchReaders
from khive_persist.search_index.texts import current_texts, indexed_texts
from khive_persist.sessions.definitions import plan_order_sql
from khive_persist.sessions.titles import read_titles
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.serial_thread import SerialThread
from khive_persist.store.source import Source, Statement
from khive_persist.store.sqlite.connection import Connection

if TYPE_CHECKING:
    from khive_persist.search_index.semantic.query_vector import QueryVector

DEFAULT_LIMIT: Final = 20
# What is not among the best of all by its words is not ranked.
MAX_LIMIT: Final = MAX_CANDIDATES
_LEAST_RANKED: Final = 100
_RANKED_FOR_EACH: Final = 5
_TITLED: Final = (PLANNER_SESSIONS, *EVENT_FILES.values(), CONVERSATIONS, APPLICATION_SESSIONS)


class _Look(NamedTuple):
    """The matches of a query in the index, and the words that are near those that match nothing."""

    matches: Matches
    near: list[str]


class _Page(NamedTuple):
    """The matches that are shown.

    Attributes:
        matched: The number of passages that match.
        hits: Those that are shown, in order, by session.
        counts: The number of ranked matches by session.
    """

    matched: int
    hits: Mapping[str, list[SearchHit]]
    counts: Mapping[str, int]


def _ranked_for(limit: int) -> int:
    """Return how many of the best by their words are ranked by time, too, to show so many.

    Time adds less than a third to a rank, and some texts come again.
    """
    return min(MAX_CANDIDATES, max(_LEAST_RANKED, _RANKED_FOR_EACH * limit))


class _Choice(NamedTuple):
    """The matches whose records have the text yet, those that are shown, and their texts."""

    matches: Matches
    chosen: list[Ranked]
    texts: Mapping[int, str]


class Searcher:
    """Searches one project again and again: the files that it reads stay open.

        async with Searcher() as searcher:
            result = await search("deadlock", searcher=searcher)

    It may be used from any event loop and thread, and answers one question after the other. After
    a fork, the child has to make another.

    Attributes:
        project: The project.
    """

    def __init__(
        self,
        dir: Path | str | None = None,
        *,
        project: Project | None = None,
        place: str | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            dir: The directory that holds `.khive`.
            project: The project, where the caller has it open: its spool is not brought in.
            place: The place of the project in answers, where that is not its directory.

        Raises:
            ProjectError: There is no project.
        """
        self._drains = project is None
        self.project = existing_project(dir) if project is None else project
        self._place = str(self.project.root.resolve()) if place is None else place
        self._thread = SerialThread(f"search of {self.project.root}")
        self._readers: SearchReaders | None = None
        self._reader = Reader(
            [(self.project.database(purpose.file), purpose) for purpose in _TITLED]
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the files once what was asked has ended, and answer no more."""
        self._reader.finish()
        await self._thread.close()
        await self._reader.close()

    async def search(
        self,
        query: Query,
        *,
        limit: int = DEFAULT_LIMIT,
        near: bool = False,
        semantic: bool = False,
    ) -> SearchResult:
        """Search once what is new has been taken into the index, as `search` does.

        Raises:
            KhiveError: As `search` does.
        """
        if semantic:
            behind = await self.catch_up()
            vector = await run_sync(vector_of, self.project, query)
            return await self.search_index(query, behind, limit=limit, near=near, vector=vector)
        most = checked_count("limit", limit) or 0
        behind, look = await self._thread.run(self._catch_up_and_find, query, most, near)
        return await self._result(query, behind, most, look, None)

    async def catch_up(self) -> int | None:
        """Bring in what is new, for two seconds at most; see `follow.catch_up`."""
        return await self._thread.run(self._catch_up)

    async def search_index(
        self,
        query: Query,
        behind: int | None,
        *,
        limit: int = DEFAULT_LIMIT,
        near: bool = False,
        vector: "QueryVector | None" = None,
    ) -> SearchResult:
        """Search the index as it is.

        Args:
            query: The parsed query.
            behind: The number of changes that the index lacks, as the answer says it.
            limit: At most so many hits.
            near: Whether words are sought that are near those that match nothing.
            vector: The vector of the query, where meaning is asked for.

        Raises:
            InvalidQueryError: The limit is no number from 0.
            StoreError: The index, or a file with titles, cannot be read.
        """
        most = checked_count("limit", limit) or 0
        look = await self._thread.run(self._find, query, most, near, vector)
        return await self._result(query, behind, most, look, vector)

    async def _result(
        self,
        query: Query,
        behind: int | None,
        limit: int,
        look: _Look,
        vector: "QueryVector | None",
    ) -> SearchResult:
        # Few records change between a look at the index and one at them, so that these are the
        # sessions that are shown; titles and texts are read side by side.
        likely = by_session(choose(look.matches.ranked, limit))
        page, titles = await asyncio.gather(
            self._thread.run(self._show, query, limit, look.matches), self._titles(likely)
        )
        titles |= await self._titles(page.hits.keys() - likely)
        sessions = [
            SessionHits(id, titles.get(id, ""), self._place, page.counts[id], hits)
            for id, hits in page.hits.items()
        ]
        return SearchResult(
            query=query.text,
            mode="exact" if vector is None or vector.row is None else "hybrid",
            matched=page.matched,
            shown=sum(map(len, page.hits.values())),
            behind=behind,
            sessions=sessions,
            near=look.near,
            vectors=None if vector is None else vector.state,
        )

    async def _titles(self, sessions: Iterable[str]) -> dict[str, str]:
        ids = [session_id for session_id in sessions if session_id]
        if not ids:
            return {}
        rows = await self._reader.fetch(lambda source: _tasks(source, ids))
        tasks: dict[str, str | None] = dict.fromkeys(ids)
        return await read_titles(self._reader, tasks | dict(map(tuple, rows)))

    # What follows runs in the thread that reads.

    def _open_readers(self) -> SearchReaders:
        if self._readers is None:
            self._readers = SearchReaders(self.project)
            self._thread.hold(self._readers)
        return self._readers

    def _catch_up(self) -> int | None:
        if self._drains and is_anything_waiting(self.project):
            # A process that searches once and brings nothing in starts in half the time without.
            from khive_persist.capture.drain import drain

            drain(self.project)
        return catch_up(self.project, readers=self._open_readers())

    def _catch_up_and_find(self, query: Query, limit: int, near: bool) -> tuple[int | None, _Look]:
        return self._catch_up(), self._find(query, limit, near, None)

    def _find(self, query: Query, limit: int, near: bool, vector: "QueryVector | None") -> _Look:
        with self._open_readers().index() as connection:
            if connection is None:
                return _Look(Matches(0, []), [])
            ranked = MAX_CANDIDATES if vector is not None else _ranked_for(limit)
            matches = find_matches(connection, compiled(query), clock.now(), ranked)
            if vector is not None and vector.row is not None:
                from khive_persist.search_index.semantic.fusion import with_nearest

                matches = with_nearest(connection, matches, query, vector.model, vector.row)
            return _Look(
                matches, near_words(connection, query) if near and not matches.total else []
            )

    def _show(self, query: Query, limit: int, matches: Matches) -> _Page:
        readers, marker = self._open_readers(), Marker(query)
        with readers.index() as connection:
            if connection is None:
                return _Page(0, {}, {})
            choice = _with_texts(readers, connection, marker, matches, limit)
        hits = {
            id: [_hit(entry, marker, choice.texts) for entry in entries]
            for id, entries in by_session(choice.chosen).items()
        }
        counts = {id: len(entries) for id, entries in by_session(choice.matches.ranked).items()}
        return _Page(choice.matches.total, hits, counts)


def vector_of(project: Project, query: Query) -> "QueryVector":
    """Return the vector of a search, as `query_vector` does by the settings of a project."""
    from khive_persist.search_index.semantic.query_vector import query_vector

    return query_vector(project, configuration.load(project.config), query)


def _with_texts(
    readers: SearchReaders, connection: Connection, marker: Marker, matches: Matches, limit: int
) -> _Choice:
    """Read what is shown from its records; what they have no longer gives room to others."""
    texts: dict[int, str] = {}
    entries = matches.ranked
    while True:
        chosen = choose(entries, limit)
        unread = [entry.candidate for entry in chosen if entry.candidate.number not in texts]
        if not unread:
            total = matches.total - (len(matches.ranked) - len(entries))
            return _Choice(Matches(total, entries), chosen, texts)
        current = current_texts(readers, unread)
        former = indexed_texts(connection, current)
        texts |= {
            number: text
            for number, text in current.items()
            if text == former.get(number) or marker.is_match(text)
        }
        missing = {candidate.number for candidate in unread} - texts.keys()
        entries = [entry for entry in entries if entry.candidate.number not in missing]


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


def _tasks(source: Source, sessions: Sequence[str]) -> Statement:
    """Select the tasks of the plans of sessions, of each that of the latest plan last."""
    session = source.extract("$.session_id")
    return Statement(
        f"SELECT {session}, {source.extract('$.task_description')}"
        f" FROM {source.only(PLANNER_SESSIONS.name).sql}"
        f" WHERE {session} IN (SELECT value FROM json_each(?)) ORDER BY {plan_order_sql(source)}",
        [codec.dump(sessions)],
    )
