"""How objects are compressed and encrypted on their way to a destination, and back."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from khive_persist.errors import BackupDamagedError, BackupError, MissingExtraError
from khive_persist.maintenance.backup.destination import Sink
from khive_persist.maintenance.backup.keys import INSTALL, pyrage_module
from khive_persist.maintenance.backup.manifest import Compression, Encryption, StoredObject

_LEVEL: Final = 3
_UNPACKED_BYTES: Final = 1 << 20


class Coding(NamedTuple):
    """How the objects of one backup are written.

    Attributes:
        compression: `zstd` or `none`.
        recipients: Who can read them; if empty, everybody.
    """

    compression: Compression
    recipients: tuple[Any, ...] = ()

    @property
    def encryption(self) -> Encryption:
        """What the manifest says of it."""
        return "age" if self.recipients else "none"


def has_zstd() -> bool:
    """Whether zstd is at hand."""
    try:
        _zstd()
    except MissingExtraError:
        return False
    return True


def encode(plain: Iterator[bytes], sink: Sink, coding: Coding) -> StoredObject:
    """Write content as an object; what the manifest says of it."""
    measured, stored = _Measured(plain), _Measuring(sink)
    content: Iterator[bytes] = iter(measured)
    if coding.compression == "zstd":
        content = _compressed(content)
    if coding.recipients:
        pyrage_module().encrypt_io(_Readable(content), stored, list(coding.recipients))
    else:
        for piece in content:
            stored.write(piece)
    return StoredObject(
        bytes=stored.bytes, sha256=stored.sha256.hexdigest(), content_bytes=measured.bytes
    )


def decode(
    what: str,
    stored: Iterator[bytes],
    declared: StoredObject,
    compression: Compression,
    encryption: Encryption,
    identities: tuple[Any, ...],
    take: Callable[[bytes], None],
) -> None:
    """Read an object back.

    Args:
        what: What it is, for errors.
        stored: Its bytes as they lie in the destination.
        declared: What the manifest says of it: no byte more is read, or comes out of it.
        compression: As the manifest says.
        encryption: As the manifest says.
        identities: Of `keys.read_identities`.
        take: Given the content, piece by piece. It is sure to be what was written only on return.

    Raises:
        BackupDamagedError: It is not what was written.
        BackupError: None of the identities can read it.
    """
    checked = checked_bytes(what, stored, declared)
    limited = _Limited(what, declared.content_bytes, take)
    sink: _Limited | _Decompressing = limited
    if compression == "zstd":
        sink = _Decompressing(what, limited)
    if encryption == "age":
        _decrypt(what, checked, sink, identities)
    else:
        for piece in checked:
            sink.write(piece)
    sink.end()


def checked_bytes(what: str, stored: Iterator[bytes], declared: StoredObject) -> Iterator[bytes]:
    """The bytes of an object as they lie in the destination.

    Raises:
        BackupDamagedError: At the end: their number or their digest is another.
    """
    sha256, count = hashlib.sha256(), 0
    for piece in stored:
        sha256.update(piece)
        count += len(piece)
        if count > declared.bytes:
            break
        yield piece
    if count != declared.bytes:
        size = f"more than {declared.bytes}" if count > declared.bytes else str(count)
        raise BackupDamagedError(f"{what} has {size} bytes, its manifest says {declared.bytes}")
    if sha256.hexdigest() != declared.sha256:
        raise BackupDamagedError(f"{what} is not as it was written: its SHA-256 is another")


def _decrypt(what: str, stored: Iterator[bytes], sink: Sink, identities: tuple[Any, ...]) -> None:
    pyrage = pyrage_module()
    if not identities:
        raise BackupError(f"{what} is encrypted", hint="name a key file with --identity FILE")
    reading = _Readable(stored)
    try:
        pyrage.decrypt_io(reading, sink, list(identities))
    except (pyrage.DecryptError, OSError) as error:
        # Damage looks to it like a wrong key: the digest tells.
        reading.drain()
        if isinstance(error, pyrage.DecryptError):
            raise BackupError(
                f"{what}: none of these identities can decrypt it", hint="name the right key file"
            ) from error
        if error.errno is not None:
            raise
        raise BackupDamagedError(f"{what} cannot be decrypted ({error})") from error


class _Measured:
    """Counts what is read from an iterator."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self.bytes += len(piece)
            yield piece


class _Measuring:
    """Counts and digests what is written to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.bytes = 0
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._sink.write(content)
        self.bytes += len(content)
        self.sha256.update(content)
        return len(content)

    def flush(self) -> None:
        """pyrage asks for it."""


class _Readable:
    """An iterator of bytes, as a file."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self._rest = memoryview(b"")
        self._error: BackupError | None = None

    def read(self, size: int) -> bytes:
        while not self._rest:
            try:
                piece = next(self._content, None)
            except BackupError as error:
                # pyrage makes an error of its own of what is raised here.
                self._error = error
                raise
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        taken, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return taken

    def drain(self) -> None:
        """Read to the end, and raise what was found on the way."""
        if self._error is not None:
            raise self._error
        for _ in self._content:
            pass


class _Limited:
    """Passes on as many bytes as were declared, and not one more."""

    def __init__(self, what: str, limit: int, take: Callable[[bytes], None]) -> None:
        self._what = what
        self._left = limit
        self._take = take

    def write(self, content: bytes) -> int:
        self._left -= len(content)
        if self._left < 0:
            raise BackupDamagedError(f"{self._what} holds more than its manifest says")
        self._take(content)
        return len(content)

    def flush(self) -> None:
        """pyrage asks for it."""

    def end(self) -> None:
        if self._left:
            raise BackupDamagedError(f"{self._what} holds {self._left} bytes less than it should")


class _Decompressing:
    """Passes on what was compressed, in pieces of a limited size."""

    def __init__(self, what: str, sink: _Limited) -> None:
        self._what = what
        self._sink = sink
        self._zstd = _zstd()
        self._decompressor = self._zstd.ZstdDecompressor()

    def write(self, content: bytes) -> int:
        rest = content
        try:
            while rest or not (self._decompressor.needs_input or self._decompressor.eof):
                self._sink.write(self._decompressor.decompress(rest, max_length=_UNPACKED_BYTES))
                rest = b""
        except (self._zstd.ZstdError, EOFError) as error:
            raise BackupDamagedError(f"{self._what} cannot be decompressed ({error})") from error
        return len(content)

    def flush(self) -> None:
        """pyrage asks for it."""

    def end(self) -> None:
        if not self._decompressor.eof or self._decompressor.unused_data:
            raise BackupDamagedError(f"{self._what} does not end where its compression does")
        self._sink.end()


def _compressed(content: Iterator[bytes]) -> Iterator[bytes]:
    compressor = _zstd().ZstdCompressor(level=_LEVEL)
    for piece in content:
        if packed := compressor.compress(piece):
            yield packed
    yield compressor.flush()


def _zstd() -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise MissingExtraError("zstd needs backports.zstd", hint=INSTALL) from error
    return zstd
