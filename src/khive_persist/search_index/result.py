"""The answer of a search: which passages matched, where each stands, and what is not shown."""

from typing import Final, Literal, NamedTuple

from khive_persist.clock import InstantText

PassageKind = Literal[
    "prompt", "answer", "thinking", "command", "output", "error", "path", "plan", "todo", "note",
    "application",
]  # fmt: skip
SearchMode = Literal["exact", "hybrid"]
# What has still to get a vector is counted so far.
MOST_WAITING: Final = 100_000


class Mark(NamedTuple):
    """A match in an excerpt: from `start` to before `end`, in characters of the excerpt."""

    start: int
    end: int


class SearchHit(NamedTuple):
    """A passage that matched.

    Attributes:
        record_id: The id of its record.
        purpose: The name of its record's purpose, as `conversations`.
        kind: The part of the record that the passage is.
        client: The client of the session, as `claude-code`; an empty string where none is known.
        tool_name: The tool of the call, as `Bash`; an empty string where it is none of a call.
        agent_id: The subagent; an empty string for the main agent.
        created_at: The time of the record, in UTC.
        failed: Whether it is of a call that failed.
        excerpt: The beginning of the text around the first match, from the record as it is now.
        marks: The matches in the excerpt, in order.
        rank: Its rank: higher is better. Ranks of different searches cannot be compared.
        link: A `khive-persist://` address, which the dashboard opens at the entry.
    """

    record_id: str
    purpose: str
    kind: PassageKind
    client: str
    tool_name: str
    agent_id: str
    created_at: InstantText
    failed: bool
    excerpt: str
    marks: list[Mark]
    rank: float
    link: str


class SessionHits(NamedTuple):
    """The hits of a session, the best first.

    Attributes:
        session_id: The id of the session; an empty string for records of none.
        title: The title by which lists tell it from others; an empty string for none.
        project: The physical path of the project's root.
        matched: The number of its passages that matched, as far as they were ranked.
        hits: Those that are shown.
    """

    session_id: str
    title: str
    project: str
    matched: int
    hits: list[SearchHit]


class VectorsState(NamedTuple):
    """The progress of the vectors of an index.

    Attributes:
        waiting: The number of passages that have still to get one, 100,000 for more.
        problem: The reason why the source gives none, or an empty text.
    """

    waiting: int
    problem: str = ""

    @property
    def sentence(self) -> str:
        """Return the line that tells a person; an empty text where nothing waits or failed."""
        if not self.waiting:
            return f"semantic: {self.problem}" if self.problem else ""
        count = f"{self.waiting:,}" + (" or more" if self.waiting == MOST_WAITING else "")
        passages = f"{count} passage{'' if self.waiting == 1 else 's'}"
        verb = "waits" if self.waiting == 1 else "wait"
        return f"semantic: {passages} {verb}" + (f": {self.problem}" if self.problem else "")


class SearchResult(NamedTuple):
    """The answer of a search.

    Attributes:
        query: The words that were searched for.
        mode: `exact` where each hit has all words; `hybrid` where it may be near in meaning.
        matched: The number of passages that matched in all, or are near in meaning.
        shown: The number of passages that are shown.
        behind: The number of changes that the index has still to take in; None where it is being
            made, and may lack anything.
        sessions: The sessions with hits, that of the best hit first.
        near: Words of the index that are near those that matched nothing, where that was asked for.
        vectors: The progress of the vectors, where meaning was asked for; None otherwise.
    """

    query: str
    mode: SearchMode
    matched: int
    shown: int
    behind: int | None
    sessions: list[SessionHits]
    near: list[str]
    vectors: VectorsState | None = None
