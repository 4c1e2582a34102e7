"""Search all that is recorded in a project: by words, of every session, the best first."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from khive_persist.search_index.query import Criterion, criterion, parse
from khive_persist.search_index.result import PassageKind, SearchResult
from khive_persist.sessions.searcher import DEFAULT_LIMIT, Searcher


async def search(
    query: str,
    *,
    limit: int = DEFAULT_LIMIT,
    dir: Path | str | None = None,
    searcher: Searcher | None = None,
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
    `behind` says what is missing then. Where nothing matches, `matched` is 0. Of more than 5,000
    passages that match, the newest so many are ranked.

    Args:
        query: Words, which are joined by AND; phrases in quotes, prefixes as `lock*`, AND, OR, NOT,
            parentheses, and filters: path: tool: kind: session: since: until: failed: client:
            agent:.
        limit: At most so many hits, of all sessions together; there are never more than 500.
        dir: The directory that holds `.khive`.
        searcher: The searcher that keeps the files open for the next search, in place of `dir`.
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
    if searcher is not None:
        return await searcher.search(parsed, limit=limit, near=near, semantic=semantic)
    async with Searcher(dir) as searcher:
        return await searcher.search(parsed, limit=limit, near=near, semantic=semantic)


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
