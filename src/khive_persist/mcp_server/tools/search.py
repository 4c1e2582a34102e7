"""`search`: the passages of all sessions in which words stand."""

from typing import Annotated, Final

from pydantic import Field

from khive_persist.errors import StoreUnavailableError
from khive_persist.mcp_server.answers import Answer, Item, Role
from khive_persist.mcp_server.envelope import Envelope, joined, later
from khive_persist.mcp_server.quoting import line
from khive_persist.mcp_server.tools.failures import checked_limit
from khive_persist.search_index.query import parse
from khive_persist.search_index.result import PassageKind, SearchHit, SearchResult
from khive_persist.sessions.contradictions import Claim, contradictions
from khive_persist.sessions.searcher import Searcher

_ROLES: Final[dict[PassageKind, Role]] = {
    "prompt": "user", "answer": "assistant", "thinking": "assistant", "command": "assistant",
    "output": "tool", "error": "tool", "path": "assistant", "plan": "planner", "todo": "assistant",
    "note": "person", "application": "application",
}  # fmt: skip


class SearchItem(Item):
    """A passage in which the words stand."""

    kind: PassageKind
    tool_name: str
    failed: Annotated[bool, Field(description="Whether it is of a call that failed.")]
    session_matched: Annotated[int, Field(description="Passages of its session that matched.")]


class SearchAnswer(Answer[SearchItem]):
    """The passages in which the words stand, the best first."""

    behind: Annotated[
        int | None, Field(description="Changes that the index lacks; null while it is made.")
    ] = 0
    near: list[str] = Field(default_factory=list, description="Words that are near, for none.")


async def search(
    searcher: Searcher, query: str, limit: int = 10, *, near: bool = False
) -> SearchAnswer:
    """Return the passages in which words stand, as `search` finds them; spools stay as they are.

    What is new is taken into the index first, for two seconds at most, where that can be written.
    Files of records only note how far the index has read them.

    Raises:
        InvalidQueryError: The query cannot be understood, or the limit is out of range.
        StoreError: The index cannot be read.
    """
    parsed = parse(query)
    limit = checked_limit(limit)
    try:
        behind = await searcher.catch_up()
    except StoreUnavailableError:
        # As on a disk that nothing is written to.
        behind = None
    result = await searcher.search_index(parsed, behind, limit=limit, near=near)
    hits = _ranked(result)
    claims = [Claim(hit.purpose, hit.record_id) for hit, *_ in hits]
    contradicted = await contradictions(searcher.project, claims)
    envelope = Envelope(searcher.project, lambda count: f"search(limit={min(100, 2 * count + 10)})")
    for rank, (hit, session_id, title, session_matched) in enumerate(hits, 1):
        text = joined((f"session: {title}" if title else "", hit.excerpt))
        item = SearchItem(
            rank=rank,
            source=envelope.source(hit.purpose, hit.record_id, session_id),
            role=_ROLES[hit.kind],
            time=hit.created_at,
            client=line(hit.client),
            agent_id=line(hit.agent_id),
            kind=hit.kind,
            tool_name=line(hit.tool_name),
            failed=hit.failed,
            session_matched=session_matched,
            contradicted_by=later(contradicted, hit.purpose, hit.record_id),
            **envelope.quoted(text, 2_000),
        )
        if not envelope.add(item):
            break
    answer = envelope.answer(SearchAnswer, result.matched, _note(behind))
    if behind != 0:
        # Of what the index lacks nobody can say that it has nothing.
        answer.status, answer.truncated = "ok", True
    answer.behind = behind
    answer.near = [line(word) for word in result.near[:20]]
    return answer


def _ranked(result: SearchResult) -> list[tuple[SearchHit, str, str, int]]:
    """Return the hits of all sessions by rank, each with its session, its title and its count."""
    hits = [
        (hit, session.session_id, session.title, session.matched)
        for session in result.sessions
        for hit in session.hits
    ]
    return sorted(hits, key=lambda entry: entry[0].rank, reverse=True)


def _note(behind: int | None) -> str:
    if behind is None:
        return "the index is still being made, or cannot be written: anything may be missing"
    return f"the index lacks {behind} changes" if behind else ""
