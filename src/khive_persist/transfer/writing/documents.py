"""Rows as JSON documents, each on a line of its own: as JSON Lines, or as one array."""

from collections.abc import Sequence
from typing import IO

from khive_persist.mirror.document import to_document
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.writing import RowWriter


class DocumentWriter(RowWriter):
    """Writes the documents that the mirror has too: they say all of a row, and where it belongs."""

    def __init__(self, file: IO[bytes], *, array: bool) -> None:
        self._file = file
        self._array = array
        self._is_first = True

    def write(self, rows: Sequence[StoredRow]) -> None:
        for row in rows:
            line = codec.dump(to_document(self._table.purpose, row)).encode()
            if not self._array:
                self._file.write(line + b"\n")
            else:
                self._file.write((b"[\n" if self._is_first else b",\n") + line)
            self._is_first = False

    def end(self) -> None:
        if self._array:
            self._file.write(b"[]\n" if self._is_first else b"\n]\n")
