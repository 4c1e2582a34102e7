"""The payloads of a session as its tool sent them, from what was stored of them."""

import base64
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.models.query import Filter
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.store import codec
from khive_persist.store.source import Source, Statement, select

RECONSTRUCTED: Final = "made from a transcript, no tool sent it"


class Original(NamedTuple):
    """One payload.

    Attributes:
        id: The id of its event.
        tool: The tool that sent it.
        created_at: The time of its arrival.
        payload: Its bytes; None where they cannot be given.
        reason: The reason why they cannot be, in words; else empty.
        is_redacted: Whether placeholders stand in it for secrets.
    """

    id: str
    tool: str
    created_at: datetime
    payload: bytes | None
    reason: str = ""
    is_redacted: bool = False

    @property
    def is_lost(self) -> bool:
        """Return whether a tool sent it and it was not kept as a whole."""
        return self.payload is None and self.reason != RECONSTRUCTED


async def originals(project: Project, filter: Filter) -> list[Original]:
    """Return the payloads of the events that pass a filter, in the order of arrival."""
    payloads: list[Original] = []
    async with (
        reading(project, *EVENT_FILES.values()) as reader,
        aclosing(reader.stream(partial(_statement, filter))) as rows,
    ):
        async for id, created_at, content, text, metadata in rows:
            at = clock.from_column(created_at) or clock.unreadable()
            payloads.append(_original(id, at, content, text, metadata))
    # Ids are of version 7: among events of one microsecond they give the order of arrival.
    return sorted(payloads, key=lambda payload: (payload.created_at, payload.id))


def _statement(filter: Filter, source: Source) -> Statement:
    columns = (
        f"id, {source.created_at}, {source.content}, {source.extract('$.payload')}, node_metadata"
    )
    return select(source, [filter], columns=columns)


def _original(id: str, at: datetime, row: str, extracted: Any, metadata: Any) -> Original:
    content = codec.column(row)
    marks = content.get("metadata") or {}
    payload = content.get("payload")
    node_metadata = codec.column(metadata)
    is_redacted = isinstance(node_metadata, Mapping) and bool(node_metadata.get("redacted"))
    original = Original(id, str(content.get("tool")), at, None, is_redacted=is_redacted)
    if marks.get("reconstructed"):
        return original._replace(reason=RECONSTRUCTED)
    if marks.get("truncated"):
        return original._replace(reason="longer than the limit, only its ends were kept")
    if marks.get("cut"):
        return original._replace(reason="its hook did not get all of it")
    if "payload" not in content:
        return original._replace(reason="stored without a payload")
    is_bytes = content.get("event_type") == "unparsed" or "bad_bytes" in marks
    if is_bytes and isinstance(payload, Mapping):
        data = str(payload.get("data", ""))
        is_base64 = payload.get("encoding") == "base64"
        return original._replace(payload=base64.b64decode(data) if is_base64 else data.encode())
    json = _as_it_came(row, content)
    if json is None:
        # SQLite's answer has each number and duplicate key as in the row, only the spaces are lost.
        json = str(extracted) if isinstance(payload, dict | list) else codec.dump_spelled(payload)
    return original._replace(payload=json.encode(str(marks.get("encoding", "utf-8"))))


def _as_it_came(row: str, content: dict[str, Any]) -> str | None:
    """Return the payload's text from a row of the drain, where it stands last and untouched."""
    fields = {name: value for name, value in content.items() if name != "payload"}
    beginning = f'{codec.dump_spelled(fields)[:-1]},"payload":'
    return row[len(beginning) : -1] if row.startswith(beginning) else None
