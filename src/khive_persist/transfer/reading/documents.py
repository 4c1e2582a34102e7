"""JSON documents: JSON Lines, an array of them, or one alone; laid out in any way."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

from khive_persist.errors import InvalidRecordError
from khive_persist.mirror.document import DATA_MODEL_VERSION, to_row
from khive_persist.store import codec
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.row_validation import JSON_COLUMNS, Found

MAX_DOCUMENT_CHARACTERS: Final = 64 << 20
_CHUNK_CHARACTERS: Final = 1 << 20
_MEMBERS: Final = frozenset(
    {"id", "purpose", "table", "created_at", *JSON_COLUMNS, "text", "dataModelVersion"}
)
_BETWEEN: Final = re.compile(r"[\s,]*")
_RESUMED: Final = re.compile(r"\n(?=[^\s\]},])")
# An error this close to the end may come from what was not read yet, as half of `\ud83d`.
_END_CHARACTERS: Final = 16


def read_lines(file: IO[str], plain: PlainRecords | None = None) -> Iterator[Found]:
    """The documents of JSON Lines; a line that is none is found as one without a row.

    Args:
        file: Their text.
        plain: What documents are that were not exported.
    """
    number = 0
    while line := file.readline(MAX_DOCUMENT_CHARACTERS):
        number += 1
        where = f"line {number}"
        if not line.endswith("\n") and len(line) == MAX_DOCUMENT_CHARACTERS:
            yield Found(where, line[:1000], reason=f"longer than {MAX_DOCUMENT_CHARACTERS}")
            while (rest := file.readline(_CHUNK_CHARACTERS)) and not rest.endswith("\n"):
                pass
        elif line.strip():
            try:
                yield _found(where, line, codec.load(line), plain)
            except ValueError as error:
                yield Found(where, line, reason=f"no JSON ({error})")


def read_values(file: IO[str], plain: PlainRecords | None = None) -> Iterator[Found]:
    """The documents of an array, or one after the other; at most one of them is in memory.

    What is plain of them is told by `plain`, as to `read_lines`. After something that is no JSON
    it goes on at the next line that begins as far to the left.
    """
    text = _Window(file)
    decoder = json.JSONDecoder(parse_constant=_refuse)
    is_array: bool | None = None
    while text.skip(_BETWEEN):
        if is_array is None:
            is_array = text.next() == "["
            if is_array:
                text.take(1)
                continue
        if is_array and text.next() == "]":
            text.take(1)
            continue
        where = f"line {text.line}"
        try:
            value, taken = text.decode(decoder)
        except ValueError as error:
            yield Found(where, text.drop_broken(), reason=f"no JSON ({error})")
        else:
            yield _found(where, taken, value, plain)


def _found(where: str, raw: Any, document: Any, plain: PlainRecords | None) -> Found:
    try:
        if plain is not None and plain.takes(document):
            row, kind = plain.row(document)
            return Found(where, raw, row, purpose=kind)
        row, purpose = _row(document)
    except InvalidRecordError as error:
        return Found(where, raw, reason=str(error))
    return Found(where, raw, row, purpose=purpose)


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
    whole = {"dataModelVersion": DATA_MODEL_VERSION, **document, "purpose": purpose or "?"}
    return to_row(whole)[1], purpose


class _Window:
    """The part of a text that was read and not yet taken, and the line that it begins on."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._is_whole = False
        self.line = 1

    def next(self) -> str:
        """The next character."""
        return self._text[self._at]

    def take(self, characters: int) -> str:
        """Go on by so many characters."""
        taken = self._text[self._at : self._at + characters]
        self.line += taken.count("\n")
        self._at += characters
        return taken

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Go on behind what matches; whether anything is left."""
        while True:
            found = pattern.match(self._text, self._at)
            assert found is not None
            self.take(found.end() - self._at)
            if self._at < len(self._text):
                return True
            if not self._read():
                return False

    def decode(self, decoder: json.JSONDecoder) -> tuple[Any, str]:
        """The next value, and its text.

        Raises:
            ValueError: There is none.
        """
        while True:
            try:
                value, end = decoder.raw_decode(self._text, self._at)
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
                    return value, self.take(end - self._at)

    def drop_broken(self) -> str:
        """Go on at the next line that may begin a value; what was left out."""
        start = self._text.rfind("\n", 0, self._at) + 1
        indent = self._text[start : self._at]
        pattern = _RESUMED
        if indent and not indent.strip():
            pattern = re.compile(rf"\n(?={indent}[^\s\]}},])")
        found = pattern.search(self._text, self._at + 1)
        while found is None and self._read():
            found = pattern.search(self._text, self._at + 1)
        end = len(self._text) if found is None else found.end()
        return self.take(end - self._at)

    def _read(self) -> bool:
        """Read about as much again as is there; whether there was more."""
        left = len(self._text) - self._at
        if self._is_whole or left >= MAX_DOCUMENT_CHARACTERS:
            return False
        more = self._file.read(max(_CHUNK_CHARACTERS, left))
        self._is_whole = not more
        self._text = self._text[self._at :] + more
        self._at = 0
        return bool(more)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
