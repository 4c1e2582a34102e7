"""Read the first lines of a transcript, however long they are."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.tools import packed_lines
from khive_persist.tools.transcript_files import COMPRESSED, DOCUMENT

# A longer line is not read as JSON: it is a picture, or a text that was pasted.
_LINE_BYTES: Final = 1 << 20
# Of such a line, what is looked at from either end.
_END_BYTES: Final = 1 << 16
_MAX_LINES: Final = 10_000
_MAX_BYTES: Final = 256 << 20
_FIELDS: Final = (
    "type", "sessionId", "uuid", "timestamp", "cwd", "projectHash", "id", "session_id", "agent",
    "updated_at",
)  # fmt: skip


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a transcript's first lines, as long as the caller asks for more.

    Of a line above 1 MB it is some fields that stand at either end of it, which takes no more
    memory than they do.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        if path.suffix == DOCUMENT:
            head = file.read(_END_BYTES)
            document = codec.column(head) if len(head) < _END_BYTES else None
            yield document if isinstance(document, dict) else _fields(head, b"")
            return
        if path.name.endswith(COMPRESSED):
            lines = stack.enter_context(closing(packed_lines.lines(file, _LINE_BYTES)))
            parts = _joined(lines)
        else:
            parts = _joined(iter(lambda: file.readline(_LINE_BYTES), b""))
        yield from parts


def _joined(parts: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects of lines that come in parts of up to 1 MB."""
    count = total = 0
    head = tail = b""
    for part in parts:
        total += len(part)
        is_end = part.endswith(b"\n") or len(part) < _LINE_BYTES
        if not head and is_end:
            document = codec.column(part)
            if isinstance(document, dict):
                yield document
        else:
            head = head or part[:_END_BYTES]
            tail = (tail + part)[-_END_BYTES:]
            if is_end:
                yield _fields(head, tail)
                head = tail = b""
        count += is_end
        if count >= _MAX_LINES or total >= _MAX_BYTES:
            return


def _fields(head: bytes, tail: bytes) -> dict[str, Any]:
    """Return the fields that stand before and after the long text of a line."""
    fields: dict[str, Any] = {}
    for name in _FIELDS:
        word = re.compile(rb'(?<!\\)"' + name.encode() + rb'"\s*:\s*("(?:[^"\\]|\\.)*")')
        values = word.findall(tail)[-1:] or word.findall(head)[:1]
        if values:
            fields[name] = json.loads(values[0].decode("utf-8", "replace"))
    if b'"payload"' in head:
        inner = {name: fields.pop(name) for name in ("id", "session_id", "cwd") if name in fields}
        fields["payload"] = inner
    return fields
