"""Match the ends of a session's calls again, when events came after its messages were read."""

from collections.abc import Iterable
from typing import Any

from khive_persist.mirror.mirror import Mirror
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import rows as stored_rows
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.transcripts.call_ends import CallEnds, ends_of

_COUNTS = ("unreported_calls", "unreported_failures")


def recount(project: Project, settings: Settings, redactor: Redactor | None, session: str) -> None:
    """Complete the events of a session's calls, and count those anew that no event tells of.

    Committed, synced and copied on return.
    """
    path = project.database(CONVERSATIONS.file)
    if not path.exists():
        return
    rows = stored_rows.read_sessions(path, CONVERSATIONS.table, [session])
    for tool, of_tool in _by_tool(rows).items():
        calls = CallEnds(project, settings, redactor, tool)
        for _, content in of_tool:
            calls.learn(content)
        ends = [list(ends_of(content, row[3], tool)) for row, content in of_tool]
        calls.follow([end for message_ends in ends for end in message_ends])
        counts = calls.unreported(ends)
        updated_rows = [
            _counted(row, content, count)
            for (row, content), count in zip(of_tool, counts, strict=True)
            if count != {name: content[name] for name in _COUNTS if name in content}
        ]
        if updated_rows:
            follower = Mirror(project, settings).follower(CONVERSATIONS)
            timeout = settings.store_busy_timeout_seconds
            with (
                FileWriter(path, CONVERSATIONS, timeout, follower) as writer,
                writer.transaction() as writing,
            ):
                writing.upsert(updated_rows)


def _by_tool(rows: Iterable[StoredRow]) -> dict[str, list[tuple[StoredRow, dict[str, Any]]]]:
    """Return the rows of messages and their contents, by the tool that they are of."""
    found: dict[str, list[tuple[StoredRow, dict[str, Any]]]] = {tool: [] for tool in HOOK_EVENTS}
    for row in rows:
        content = codec.column(row[1])
        if isinstance(content, dict) and (tool := content.get("tool")) in found:
            found[tool].append((row, content))
    return {tool: pairs for tool, pairs in found.items() if pairs}


def _counted(row: StoredRow, content: dict[str, Any], counts: dict[str, int]) -> StoredRow:
    other_fields = {name: value for name, value in content.items() if name not in _COUNTS}
    return row[0], codec.dump_lossy(other_fields | counts), row[2], row[3], row[4]
