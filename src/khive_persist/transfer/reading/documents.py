"""JSON documents: JSON Lines, an array of them, or one alone; laid out in any way."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import IO, Any, Final

from khive_persist.errors import InvalidRecordError
from khive_persist.mirror.document import DATA_MODEL_VERSION, to_row
from khive_persist.store import codec
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.row_validation import JSON_COLUMNS, SourceEntry, entry_of

MAX_DOCUMENT_CHARACTERS: Final = 64 << 20
_CHUNK_CHARACTERS: Final = 1 << 20
_MEMBERS: Final = frozenset(
    {"id", "purpose", "table", "created_at", *JSON_COLUMNS, "text", "dataModelVersion"}
)
_BETWEEN: Final = re.compile(r"[\s,]*")
_RESUMED: Final = re.compile(r"\n(?=[^\s\]},])")
# An error this close to the end may come from what was not read yet, as half of `\ud83d`.
_END_CHARACTERS: Final = 16


def read_lines(file: IO[str], plain: PlainRecords | None = None) -> Iterator[SourceEntry]:
    """Yield the documents of JSON Lines; a line that is none is found as one without a row.

    Documents that were not exported are mapped by `plain`.
    """
    number = 0
    while line := file.readline(MAX_DOCUMENT_CHARACTERS):
        number += 1
        location = f"line {number}"
        if not line.endswith("\n") and len(line) == MAX_DOCUMENT_CHARACTERS:
            yield SourceEntry(
                location, line[:1000], reason=f"longer than {MAX_DOCUMENT_CHARACTERS}"
            )
            while (skipped := file.readline(_CHUNK_CHARACTERS)) and not skipped.endswith("\n"):
                pass
        elif line.strip():
            try:
                yield _entry(location, line, codec.load(line), plain)
            except ValueError as error:
                yield SourceEntry(location, line, reason=f"no JSON ({error})")


def read_values(file: IO[str], plain: PlainRecords | None = None) -> Iterator[SourceEntry]:
    """Yield the documents of an array, or one after the other; at most one of them is in memory.

    What is plain of them is told by `plain`, as to `read_lines`. After something that is no JSON
    it goes on at the next line that begins as far to the left.
    """
    text = _TextWindow(file)
    decoder = json.JSONDecoder(parse_constant=_refuse)
    is_array = text.skip(_BETWEEN) and text.next() == "["
    if is_array:
        text.take(1)
    while text.skip(_BETWEEN):
        if is_array and text.next() == "]":
            text.take(1)
            continue
        location = f"line {text.line}"
        try:
            value, raw = text.decode(decoder)
        except ValueError as error:
            yield SourceEntry(location, text.drop_broken(), reason=f"no JSON ({error})")
        else:
            yield _entry(location, raw, value, plain)


def _entry(location: str, raw: Any, document: Any, plain: PlainRecords | None) -> SourceEntry:
    if plain is not None and plain.takes(document):
        return entry_of(location, raw, partial(plain.row, document))
    return entry_of(location, raw, partial(_row, document))


def _row(document: Any) -> tuple[Any, str | None]:
    if not isinstance(document, Mapping):
        raise InvalidRecordError("not an object")
    unknown = sorted(document.keys() - _MEMBERS)
    if unknown:
        # What no column takes would be lost in silence.
        raise InvalidRecordError(f"no column takes {unknown[0]!r}")
    texts = document.get("text", {})
    if not isinstance(texts, Mapping) or not texts.keys() <= set(JSON_COLUMNS):
        raise InvalidRecordError("text is not that of columns")
    purpose = document.get("purpose")
    if not isinstance(purpose, str | None):
        raise InvalidRecordError("purpose is not text")
    complete = {"dataModelVersion": DATA_MODEL_VERSION, **document, "purpose": purpose or "?"}
    return to_row(complete)[1], purpose


class _TextWindow:
    """The part of a text that was read and not yet taken, and the line that it begins on."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._position = 0
        self._is_at_end = False
        self.line = 1

    def next(self) -> str:
        return self._text[self._position]

    def take(self, characters: int) -> str:
        """Return the next characters, and move behind them."""
        text = self._text[self._position : self._position + characters]
        self.line += text.count("\n")
        self._position += characters
        return text

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Move behind a match, and return whether any text remains."""
        while True:
            match = pattern.match(self._text, self._position)
            assert match is not None
            self.take(match.end() - self._position)
            if self._position < len(self._text):
                return True
            if not self._read():
                return False

    def decode(self, decoder: json.JSONDecoder) -> tuple[Any, str]:
        """Return the next value, and its text; a ValueError says that there is none."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or (
                    error.pos >= len(self._text) - _END_CHARACTERS
                )
                if not is_cut or not self._read():
                    raise ValueError(error.msg) from error
            except RecursionError as error:
                raise ValueError("nested too deep") from error
            else:
                # A number may go on in what was not read yet.
                if end < len(self._text) or not self._read():
                    return value, self.take(end - self._position)

    def drop_broken(self) -> str:
        """Move to the next line that may begin a value, and return the text before it."""
        start = self._text.rfind("\n", 0, self._position) + 1
        indent = self._text[start : self._position]
        pattern = _RESUMED
        if indent and not indent.strip():
            pattern = re.compile(rf"\n(?={indent}[^\s\]}},])")
        match = pattern.search(self._text, self._position + 1)
        while match is None and self._read():
            match = pattern.search(self._text, self._position + 1)
        end = len(self._text) if match is None else match.end()
        return self.take(end - self._position)

    def _read(self) -> bool:
        """Read about as much again as is there, and return whether there was more."""
        unread = len(self._text) - self._position
        if self._is_at_end or unread >= MAX_DOCUMENT_CHARACTERS:
            return False
        chunk = self._file.read(max(_CHUNK_CHARACTERS, unread))
        self._is_at_end = not chunk
        self._text = self._text[self._position :] + chunk
        self._position = 0
        return bool(chunk)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
