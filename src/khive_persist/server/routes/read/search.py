"""`GET /v1/search`: what is recorded that has these words."""

from typing import Any, Final

from khive_persist.search_index.query import KINDS
from khive_persist.search_index.result import SearchResult
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.sessions.search import search
from khive_persist.sessions.searcher import DEFAULT_LIMIT, MAX_LIMIT

WORDS: Final = Parameter(
    "q", "text", "Words, phrases in quotes, prefixes as lock*, AND, OR, NOT, parentheses, and the"
    " filters path: tool: kind: session: since: until: failed: client: agent:.",
)  # fmt: skip
HITS: Final = Parameter(
    "limit", "integer", "At most so many hits, of all sessions together.",
    minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT,
)  # fmt: skip
NEAR: Final = Parameter(
    "near", "boolean", "Also words that are near those that match nothing.", default=False
)

AGENT: Final = Parameter("agent", "text", "Of the subagent of this id, or of `main`.")
KIND: Final = Parameter("kind", "word", "Of this kind.", KINDS)
PATH: Final = Parameter(
    "path", "text", "Of a call that names this path, or a part of one of at least three characters."
)
FAILED: Final = Parameter(
    "failed", "boolean", "true: of calls that failed. false: of none that did."
)
SEMANTIC: Final = Parameter(
    "semantic", "boolean", "Also what is near in meaning, where `search.semantic` is set.",
    default=False,
)  # fmt: skip


def operations(readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def hits(query: ReadRequest) -> Any:
        if query["q"] is None:
            raise HTTPError(400, "bad_parameter", "q is missing")
        async with readers.searcher() as searcher:
            return await search(
                query["q"],
                limit=query["limit"],
                searcher=searcher,
                session_id=query["session"],
                tool=query["tool_name"],
                client=query["tool"],
                agent_id=query["agent"],
                kind=query["kind"],
                path=query["path"],
                failed=query["failed"],
                since=query["since"],
                until=query["until"],
                near=query["near"],
                semantic=query["semantic"],
            )

    filters = (
        parameters.SESSION,
        parameters.TOOL,
        parameters.TOOL_NAME,
        AGENT,
        KIND,
        PATH,
        FAILED,
        parameters.SINCE,
        parameters.UNTIL,
    )
    return [
        Operation(
            "/v1/search",
            hits,
            "Prompts, answers, commands, outputs, errors, paths, plans, to-dos and notes that have"
            " these words, by session, the best first.",
            (WORDS, *filters, HITS, NEAR, SEMANTIC),
            SearchResult,
        )
    ]
