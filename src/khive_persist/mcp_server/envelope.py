"""Put results into an answer: as many as it has room for, each text fenced and cut."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from khive_persist.errors import KhiveError
from khive_persist.mcp_server.answers import Answer, Item, Later, Problem, Source
from khive_persist.mcp_server.quoting import Fence, line
from khive_persist.project import Project
from khive_persist.search_index.link import RecordLink
from khive_persist.sessions.contradictions import Claim, Contradiction

# Of the JSON of one answer. Clients take about so much into a conversation at once.
MOST_BYTES: Final = 65_536
_HEAD_BYTES: Final = 4_096
TEXT_CHARACTERS: Final = 4_000


AnswerType = TypeVar("AnswerType", bound=Answer[Any])


class Envelope:
    """An answer that is being put together.

    Args:
        project: The project that is asked.
        again: A function that returns how to ask for what follows a number of results.
    """

    def __init__(self, project: Project, again: Callable[[int], str]) -> None:
        self.fence = Fence()
        self.project = line(str(project.root), 4_096)
        self._again = again
        self._items: list[Any] = []
        self._bytes = _HEAD_BYTES
        self._is_full = False

    def source(self, purpose: str, record_id: str = "", session_id: str = "") -> Source:
        """Return the source of an item."""
        return Source(
            project=self.project,
            purpose=purpose,
            record_id=line(record_id),
            session_id=line(session_id),
            link=str(RecordLink(session_id, record_id))[:2_000] if session_id else "",
        )

    def quoted(self, text: str, characters: int = TEXT_CHARACTERS) -> dict[str, Any]:
        """Return the fields of an item's text: the beginning, fenced, and whether it was cut."""
        return {"text": self.fence.quote(text[:characters]), "cut": len(text) > characters}

    def add(self, item: Item) -> bool:
        """Add an item where there is room for it; return whether there was."""
        size = len(item.model_dump_json().encode())
        if self._is_full or self._bytes + size > MOST_BYTES:
            self._is_full = True
            return False
        self._bytes += size
        self._items.append(item)
        return True

    def answer(self, kind: type[AnswerType], matched: int, note: str = "") -> AnswerType:
        """Return the answer.

        Args:
            kind: The type of the answer.
            matched: The number of all that match.
            note: A sentence on it besides.
        """
        count = len(self._items)
        is_short = count < matched
        return kind(
            status="ok" if matched else "nothing",
            notice=self.fence.notice,
            project=self.project,
            matched=matched,
            shown=count,
            truncated=is_short or any(item.cut for item in self._items),
            next_call=self._again(count) if is_short else "",
            note=note,
            items=self._items,
        )


def later(
    contradictions: Mapping[Claim, Sequence[Contradiction]], purpose: str, record_id: str
) -> list[Later]:
    """Return what contradicts a record, as an item has it."""
    return [
        Later(
            kind=contradiction.kind,
            time=contradiction.at,
            session_id=line(contradiction.session_id),
            record_id=line(contradiction.record_id),
        )
        for contradiction in contradictions.get(Claim(purpose, record_id), ())
    ]


def failed(kind: type[AnswerType], error: KhiveError | OSError) -> AnswerType:
    """Return the answer that says why there is none."""
    code = error.code if isinstance(error, KhiveError) else "io_error"
    message = str(error.args[0]) if isinstance(error, KhiveError) and error.args else str(error)
    hint = error.hint if isinstance(error, KhiveError) else ""
    problem = Problem(code=code, message=line(message, 1_000), hint=line(hint, 1_000))
    return kind(status="error", error=problem)


def joined(parts: Iterable[str]) -> str:
    """Return the parts that are not empty, one a line."""
    return "\n".join(part for part in parts if part)
