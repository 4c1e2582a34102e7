"""Formats of JSON documents in files: text or packed, recognised by their first bytes."""

import gzip
import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple, get_args

from khive_persist.errors import InvalidFileError, extra
from khive_persist.store import codec
from khive_persist.transfer.target import replacing

Format = Literal["json", "json-compact", "json-gzip", "json-zstd"]
Packing = Literal["plain", "gzip", "zstd"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MAX_DOCUMENT_BYTES: Final = 1 << 30
_READ_FORMATS: Final[dict[Packing, Format]] = {
    "plain": "json",
    "gzip": "json-gzip",
    "zstd": "json-zstd",
}
_MAGIC: Final[dict[bytes, Packing]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_HEAD_BYTES: Final = 64
_CHUNK_BYTES: Final = 1 << 20
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class ReadDocument(NamedTuple):
    """The document of a file, its format, `json` for both that are not packed, and its size."""

    document: Any
    format: Format
    bytes: int


def to_json(document: Any, format: Format) -> bytes:
    """Serialise a document for a format, before it is packed.

    Raises:
        InvalidFileError: There is no such format.
        InvalidRecordError: The document is not JSON.
    """
    if format not in FORMATS:
        raise InvalidFileError(f"{format!r} is no format", hint="one of " + ", ".join(FORMATS))
    return codec.dump(document, indent=format == "json").encode()


def write_json(path: Path, plain: bytes, format: Format) -> int:
    """Write the result of `to_json` as `files.save_document` says, and return the file's bytes."""
    raw = plain
    if format == "json-gzip":
        # Without a time in it, the same document gives the same bytes.
        raw = gzip.compress(plain, mtime=0)
    elif format == "json-zstd":
        raw = _zstd().compress(plain)
    # Under a name of its own until then: several threads may write the same file.
    with replacing(path, force=True) as file:
        file.write(raw)
    return len(raw)


def read_document(path: Path, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> ReadDocument:
    """Return the document of a file of any of the formats, as `files.load_document` says."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        packing = detect(file.peek(_HEAD_BYTES))
        with unpacked(file, str(path)) as plain:
            raw = plain.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise InvalidFileError(f"{path} unpacks to more than {max_bytes} bytes")
    raw = raw.removeprefix(_BYTE_ORDER_MARK)
    if not raw.lstrip()[:1] or raw.lstrip()[:1] not in b'{["-0123456789tfn':
        raise InvalidFileError(f"{path}: unknown content, {describe(raw)}")
    try:
        return ReadDocument(codec.load(raw), _READ_FORMATS[packing], size)
    except ValueError as error:
        raise InvalidFileError(f"{path} is no JSON ({error})") from error


def detect(head: bytes) -> Packing:
    """Return the packing of a file that begins with these bytes."""
    return next((packing for magic, packing in _MAGIC.items() if head.startswith(magic)), "plain")


def describe(head: bytes) -> str:
    """Describe the first bytes of a file, for a message about unknown content."""
    return f"it begins with {head[:8].hex(' ')}" if head else "it is empty"


@contextmanager
def unpacked(file: IO[bytes], name: str) -> Iterator[io.BufferedReader]:
    """Open a file for reading its unpacked bytes, which are unpacked on demand.

    Args:
        file: The file, at its beginning; it may be a pipe. It stays open.
        name: The name of the file in errors.

    Raises:
        InvalidFileError: What it is packed with is damaged, or ends too early.
        MissingExtraError: It is packed with zstd, and the package for it is not here.
    """
    buffered = _buffered(_UnclosedSource(file))
    packing = detect(buffered.peek(_HEAD_BYTES))
    plain = buffered
    errors: tuple[type[Exception], ...] = ()
    if packing == "gzip":
        import zlib

        plain = _buffered(gzip.GzipFile(fileobj=buffered))
        errors = (gzip.BadGzipFile, EOFError, zlib.error)
    elif packing == "zstd":
        zstd = _zstd()
        plain = _buffered(zstd.ZstdFile(buffered))
        errors = (zstd.ZstdError, EOFError)
    try:
        yield plain
    except errors as error:
        raise InvalidFileError(f"{name} is damaged ({error})") from error
    finally:
        plain.close()


def _buffered(raw: Any) -> io.BufferedReader:
    return io.BufferedReader(raw, _CHUNK_BYTES)


class _UnclosedSource(io.RawIOBase):
    """A file that is not closed with what reads it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _zstd() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    with extra("backup", "zstd"):
        return importlib.import_module(name)
