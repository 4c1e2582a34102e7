"""Detection of a source's format, by its content and never by its name."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from khive_persist.errors import InvalidFileError
from khive_persist.store import codec
from khive_persist.store.sqlite.foreign_files import is_database
from khive_persist.transfer.formats import describe, unpacked
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.reading.csv import read_csv
from khive_persist.transfer.reading.database import read_database
from khive_persist.transfer.reading.documents import read_lines, read_values
from khive_persist.transfer.reading.folder import as_characters, is_stream, read_folder, read_stream
from khive_persist.transfer.reading.markdown import MAX_CHARACTERS, is_markdown, read_markdown
from khive_persist.transfer.reading.parquet import MAGIC, read_parquet
from khive_persist.transfer.row_validation import SourceEntry

_SQLITE: Final = b"SQLite format 3\0"
_HEAD_BYTES: Final = 1 << 16
_ZIP: Final = b"PK\3\4"
_TAR: Final = slice(257, 262)
_WHITE: Final = b" \t\r\n\xef\xbb\xbf"


def read_source(
    source: Path | IO[bytes], plain: PlainRecords | None = None
) -> Iterator[SourceEntry]:
    """Yield everything that a file, a folder or a pipe has.

    Args:
        source: A path, or an open file such as stdin.
        plain: The mapping of documents that were not exported.

    Raises:
        InvalidFileError: Its content is unknown or damaged.
        MissingExtraError: Reading it needs a package that is not here.
        StoreError: It is a database that cannot be read.
        OSError: It cannot be read.
    """
    if not isinstance(source, Path):
        return _read_text(source, "stdin", None, plain)
    path = source.resolve()
    if path.is_dir():
        return read_folder(path, plain)
    if path.is_file() and is_database(path):
        if plain is not None:
            plain.refuse_fields(path)
        return read_database(path)
    return _read_file(path, plain)


def _read_file(path: Path, plain: PlainRecords | None) -> Iterator[SourceEntry]:
    with path.open("rb") as file:
        head = file.read(len(_SQLITE))
        if head == _SQLITE:
            raise InvalidFileError(f"{path} is a damaged SQLite file")
        if not head.startswith(MAGIC):
            if is_stream(path):
                yield from read_stream(path)
                return
            file.seek(0)
            yield from _read_text(file, str(path), path.stem, plain)
            return
    if plain is not None:
        plain.refuse_fields(path)
    yield from read_parquet(path)


def _read_text(
    file: IO[bytes], name: str, id: str | None, plain: PlainRecords | None
) -> Iterator[SourceEntry]:
    with unpacked(file, name) as content:
        head = content.peek(_HEAD_BYTES)
        text = as_characters(content)
        start = head.lstrip(_WHITE)
        if not start or start.startswith((b"[", b"{")):
            # Nothing at all is an export of no rows.
            read_documents = read_lines if _is_lines(start) else read_values
            yield from read_documents(text, plain)
        elif is_markdown(start):
            yield read_markdown(text.read(MAX_CHARACTERS + 1), "it", id, plain)
        elif head.startswith(_ZIP):
            hint = "save it as CSV, or export JSON Lines"
            raise InvalidFileError(f"{name}: unknown content, as of an Excel workbook", hint=hint)
        elif head[_TAR] == b"ustar":
            raise InvalidFileError(f"{name} is an archive: name its file", hint="it is read twice")
        elif b"," not in start and (plain is None or not _is_text(start)):
            raise InvalidFileError(f"{name}: unknown content, {describe(head)}")
        else:
            yield from read_csv(text, name, plain)


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and head[:1] not in (b"\x89", b"\xff")


def _is_lines(head: bytes) -> bool:
    """Return whether the first line is a document, or the next one begins as one does."""
    first, _, second_line = head.partition(b"\n")
    if not first.startswith(b"{"):
        return False
    try:
        codec.load(first)
    except ValueError:
        return second_line.startswith(b"{")
    return True
