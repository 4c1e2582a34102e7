"""Make the rows of messages."""

from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.mirror.document import to_line
from khive_persist.models.message import Message
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.redaction import Redactor
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import with_counts
from khive_persist.tools.message_part import MessagePart
from khive_persist.transcripts.batches import Batch
from khive_persist.transcripts.merge_parts import merged

_Instant = str | float | None
_DatedContent = tuple[dict[str, Any], _Instant]

# Who said a message: another one takes it over with its own instant.
_OWNER: Final = ("session_id", "agent_id")
_METADATA: Final = codec.dump({"lion_class": Message.lion_class()})


class MessageRow(NamedTuple):
    """A message's row, redacted; exact where its content is as `codec.dump` writes it."""

    row: StoredRow
    is_exact: bool = False

    def line(self) -> bytes:
        """Return the row's line of the mirror."""
        return to_line(CONVERSATIONS, self.row, is_exact=self.is_exact)


class RowBuilder:
    """Builds the rows of one tool's messages."""

    def __init__(self, tool: str, redactor: Redactor | None) -> None:
        self._tool = tool
        self._redactor = redactor

    def new(self, batch: Batch) -> dict[str, MessageRow]:
        """Return the rows of a batch's messages by id, as if nothing of them was stored before."""
        messages: dict[str, _DatedContent] = {}
        for id, part in zip(batch.ids, batch.parts, strict=True):
            messages[id] = _with(messages.get(id), part)
        return {id: self._message_row(id, *message) for id, message in messages.items()}

    def changed(self, row: StoredRow, parts: list[MessagePart]) -> MessageRow | None:
        """Return a stored message with more parts of it; None where they change nothing."""
        content = codec.column(row[1])
        message: _DatedContent | None = (content, row[3]) if isinstance(content, dict) else None
        for part in parts:
            message = _with(message, part)
        if message is None or message[0] == content:
            return None
        message_row = self._message_row(row[0], *message)
        return message_row if message_row.row[1] != row[1] else None

    def _message_row(self, id: str, content: dict[str, Any], created_at: _Instant) -> MessageRow:
        content = {"tool": self._tool} | content
        exact = codec.dump_exact(content)
        text = codec.dump_lossy(content) if exact is None else exact
        text, counts = (text, {}) if self._redactor is None else self._redactor.redact_json(text)
        if counts:
            return MessageRow((id, text, with_counts(_METADATA, counts), created_at, None))
        return MessageRow((id, text, _METADATA, created_at, None), exact is not None)


def _with(message: _DatedContent | None, part: MessagePart) -> _DatedContent:
    """Return the content of a message with one more part of it, and its instant."""
    if message is None:
        return merged(None, part), _instant(part.created_at)
    content, instant = message
    new_content = merged(content, part)
    is_original_at_last = any(new_content.get(name) != content.get(name) for name in _OWNER)
    return new_content, _instant(part.created_at) if is_original_at_last else instant


def _instant(text: str | None) -> str:
    instant = clock.from_column(text) if text else None
    return clock.to_text(instant or clock.unreadable())
