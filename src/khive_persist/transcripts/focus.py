"""Save snapshots of to-do lists from the tool calls of messages, as those are stored."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.capture.todo_lists.snapshot_rows import snapshot_row
from khive_persist.capture.todo_lists.tool_calls import TOOLS, list_update
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import CONVERSATIONS, FOCUS_CHAINS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.focus_chains import TRANSCRIPT, weave_in
from khive_persist.store.redacting import redact_row
from khive_persist.store.sqlite import change_log
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.tombstones import CurrentTombstones
from khive_persist.tools.message_part import mapping_of
from khive_persist.transcripts.batches import Batch

# In a reader's state: the calls that have no result yet, each with the row of its message. The call
# itself is read from there: the state is no place for what was not redacted.
PENDING: Final = "focus_pending"
_DONE: Final = "success"


class EndedTodoCall(NamedTuple):
    """A call on a to-do list that has its result, and the rows that both stand in."""

    use_id: str
    call_row: str
    result_row: str


class Focus:
    """Follows a sync: keeps each snapshot of the to-do lists of the messages that it stores."""

    def __init__(self, project: Project, settings: Settings, redactor: Redactor | None) -> None:
        self._path = project.database(FOCUS_CHAINS.file)
        self._timeout = settings.store_busy_timeout_seconds
        self._redact = None if redactor is None else partial(redact_row, redactor)
        self._mirror = Mirror(project, settings).follower(FOCUS_CHAINS)
        self._tombstones = CurrentTombstones(project)

    def epoch(self) -> str:
        """Return the epoch of the snapshots' file; an empty string for none, or an old one."""
        if not self._path.exists():
            return ""
        with sqlite.opened_reader(self._path) as connection, translated(self._path):
            is_logged = change_log.is_there(connection)
            return change_log.state(connection).epoch if is_logged else ""

    def follow(
        self, connection: Connection, tool: str, ended_calls: Sequence[EndedTodoCall]
    ) -> int:
        """Save the snapshots of calls that have ended: committed, synced and copied on return.

        A call counts once its result is there and says that it did not fail. To be called when
        their messages are committed and before the position after them is remembered: killed
        between, the next sync tells the same, and nothing is there twice.

        Returns:
            The number of snapshots that are new or changed.

        Raises:
            StoreError: As its subclasses say; nothing was written.
        """
        ids = [id for call in ended_calls for id in (call.call_row, call.result_row)]
        rows = fetch_ids(connection, CONVERSATIONS.table, list(dict.fromkeys(ids)))
        messages = {row[0]: row for row in rows}
        new = [row for call in ended_calls if (row := _row(tool, call, messages)) is not None]
        if self._redact is not None:
            new = [self._redact(row) for row in new]
        tombstones = self._tombstones.get()
        new = [row for row in new if not tombstones.is_pruned(FOCUS_CHAINS.name, row)]
        return weave_in(self._path, new, self._timeout, self._mirror) if new else 0


def calls_ended(batch: Batch, state: dict[str, Any]) -> Iterator[EndedTodoCall]:
    """Yield the calls on to-do lists that end with the parts of a batch.

    Calls without a result are noted in the state, which is kept from batch to batch.
    """
    pending: dict[str, str] = dict(state.pop(PENDING, {}))
    for id, part in zip(batch.ids, batch.parts, strict=True):
        for call in part.fields.get("tool_calls", ()):
            use_id = call.get("tool_use_id")
            if call.get("name") not in TOOLS or not isinstance(use_id, str):
                continue
            if "status" in call:
                # Gemini writes a call with its result; before it is there, the call comes again.
                yield EndedTodoCall(use_id, id, id)
            else:
                pending[use_id] = id
        for result in part.fields.get("tool_results", ()):
            use_id = result.get("tool_use_id")
            if isinstance(use_id, str) and use_id in pending:
                yield EndedTodoCall(use_id, pending.pop(use_id), id)
    if pending:
        state[PENDING] = pending


def _row(tool: str, ended_call: EndedTodoCall, messages: dict[str, StoredRow]) -> StoredRow | None:
    message, answer = (_content(messages.get(id)) for id in ended_call[1:])
    calls = _listed(message, "tool_calls", ended_call.use_id)
    results = _listed(answer, "tool_results", ended_call.use_id)
    session = message.get("session_id")
    if not calls or not isinstance(session, str):
        return None
    (number, call), result = calls[0], results[0][1] if results else {}
    if call.get("status", _DONE) != _DONE or result.get("is_error") is True:
        return None
    output = result.get("output", call.get("result"))
    tool_use_result = answer.get("tool_use_result")
    # One object stands beside all results of a message.
    if isinstance(tool_use_result, dict) and len(answer.get("tool_results", ())) == 1:
        output = tool_use_result
    todo_list = list_update(call["name"], call.get("input"), output)
    at = clock.from_column(messages[ended_call.result_row][3])
    if todo_list is None or at is None:
        return None
    line = answer.get("line")
    return snapshot_row(
        todo_list,
        session_id=session,
        tool=tool,
        source=TRANSCRIPT,
        key=ended_call.use_id,
        created_at=clock.to_text(at),
        order=(line if isinstance(line, int) else 0, number),
        agent_id=message.get("agent_id"),
        turn_id=message.get("turn_id") or answer.get("turn_id"),
        tool_use_id=ended_call.use_id,
    )


def _content(row: StoredRow | None) -> Mapping[str, Any]:
    return mapping_of(row and codec.column(row[1]))


def _listed(content: Mapping[str, Any], name: str, use_id: str) -> list[tuple[int, dict[str, Any]]]:
    listed = enumerate(content.get(name, ()))
    return [(number, entry) for number, entry in listed if entry.get("tool_use_id") == use_id]
