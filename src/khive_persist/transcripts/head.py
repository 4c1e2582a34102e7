"""What a transcript's first lines say of it, however long they are."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.transcripts import packed_lines
from khive_persist.transcripts.source import COMPRESSED, DOCUMENT

# A longer line is not read as JSON: it is a picture, or a text that was pasted.
_LINE_BYTES: Final = 1 << 20
# Of such a line, what is looked at from either end.
_END_BYTES: Final = 1 << 16
_MAX_LINES: Final = 10_000
_MAX_BYTES: Final = 256 << 20
_FIELDS: Final = (
    "type", "sessionId", "uuid", "timestamp", "cwd", "projectHash", "id", "session_id",
)  # fmt: skip


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """Give the objects of a transcript's first lines, as long as somebody asks for more.

    Of a line above 1 MB it is some fields that stand at either end of it, which takes no more
    memory than they do.

    Raises:
        OSError: It cannot be read.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        if path.suffix == DOCUMENT:
            begin = file.read(_END_BYTES)
            whole = codec.column(begin) if len(begin) < _END_BYTES else None
            yield whole if isinstance(whole, dict) else _fields(begin, b"")
            return
        if path.name.endswith(COMPRESSED):
            lines = stack.enter_context(closing(packed_lines.lines(file, _LINE_BYTES)))
            parts = _joined(lines)
        else:
            parts = _joined(iter(lambda: file.readline(_LINE_BYTES), b""))
        yield from parts


def _joined(parts: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Give the objects of lines that come in parts of up to 1 MB."""
    count = total = 0
    begin = end = b""
    for part in parts:
        total += len(part)
        is_end = part.endswith(b"\n") or len(part) < _LINE_BYTES
        if not begin and is_end:
            document = codec.column(part)
            if isinstance(document, dict):
                yield document
        else:
            begin = begin or part[:_END_BYTES]
            end = (end + part)[-_END_BYTES:]
            if is_end:
                yield _fields(begin, end)
                begin = end = b""
        count += is_end
        if count >= _MAX_LINES or total >= _MAX_BYTES:
            return


def _fields(begin: bytes, end: bytes) -> dict[str, Any]:
    """Give the fields that stand before and after the long text of a line."""
    found: dict[str, Any] = {}
    for name in _FIELDS:
        word = re.compile(rb'(?<!\\)"' + name.encode() + rb'"\s*:\s*("(?:[^"\\]|\\.)*")')
        values = word.findall(end)[-1:] or word.findall(begin)[:1]
        if values:
            found[name] = json.loads(values[0].decode("utf-8", "replace"))
    if b'"payload"' in begin:
        inner = {name: found.pop(name) for name in ("id", "session_id", "cwd") if name in found}
        found["payload"] = inner
    return found
