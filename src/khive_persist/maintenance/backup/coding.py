"""Compression and encryption of objects on their way to a destination, and back."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from khive_persist.errors import BackupDamagedError, BackupError, MissingExtraError, extra
from khive_persist.maintenance.backup.destination import Sink
from khive_persist.maintenance.backup.keys import pyrage_module
from khive_persist.maintenance.backup.manifest import (
    Compression,
    Encryption,
    Manifest,
    StoredObject,
)

_LEVEL: Final = 3
_UNPACKED_BYTES: Final = 1 << 20


class Coding(NamedTuple):
    """The coding of the objects of one backup.

    Attributes:
        compression: `zstd` or `none`.
        recipients: The keys of those who can read them; if empty, everybody.
    """

    compression: Compression
    recipients: tuple[Any, ...] = ()

    @property
    def encryption(self) -> Encryption:
        """Return the encryption, as the manifest names it."""
        return "age" if self.recipients else "none"


def has_zstd() -> bool:
    """Return whether zstd is at hand."""
    try:
        _zstd()
    except MissingExtraError:
        return False
    return True


def encode(plain: Iterator[bytes], sink: Sink, coding: Coding) -> StoredObject:
    """Write content as an object, and return its description for the manifest."""
    content_bytes = 0

    def counted() -> Iterator[bytes]:
        nonlocal content_bytes
        for piece in plain:
            content_bytes += len(piece)
            yield piece

    digesting, content = _DigestingSink(sink), counted()
    if coding.compression == "zstd":
        content = _compressed(content)
    if coding.recipients:
        pyrage_module().encrypt_io(_ByteSource(content), digesting, list(coding.recipients))
    else:
        for piece in content:
            digesting.write(piece)
    return StoredObject(
        bytes=digesting.bytes, sha256=digesting.sha256.hexdigest(), content_bytes=content_bytes
    )


def decode(
    name: str,
    content: Iterator[bytes],
    declared: StoredObject,
    coding: Coding | Manifest,
    identities: tuple[Any, ...],
    consume: Callable[[bytes], None],
) -> None:
    """Read an object back.

    Args:
        name: The name of the object in errors.
        content: The bytes of the object as they lie in the destination.
        declared: The object's description in the manifest: no byte more is read, or comes out.
        coding: The compression and encryption, as its backup has them.
        identities: The keys of `keys.read_identities`.
        consume: A function that is given the content, piece by piece. The content is proven to be
            what was written only on return.

    Raises:
        BackupDamagedError: It is not what was written.
        BackupError: None of the identities can read it.
    """
    checked_content = checked_bytes(name, content, declared)
    limited = _LimitedSink(name, declared.content_bytes, consume)
    sink: _LimitedSink | _DecompressingSink = limited
    if coding.compression == "zstd":
        sink = _DecompressingSink(name, limited)
    if coding.encryption == "age":
        _decrypt(name, checked_content, sink, identities)
    else:
        for piece in checked_content:
            sink.write(piece)
    sink.end()


def checked_bytes(name: str, content: Iterator[bytes], declared: StoredObject) -> Iterator[bytes]:
    """Yield the bytes of an object as they lie in the destination.

    Raises:
        BackupDamagedError: At the end: their number or their digest is another.
    """
    sha256, count = hashlib.sha256(), 0
    for piece in content:
        sha256.update(piece)
        count += len(piece)
        if count > declared.bytes:
            break
        yield piece
    if count != declared.bytes:
        size = f"more than {declared.bytes}" if count > declared.bytes else str(count)
        raise BackupDamagedError(f"{name} has {size} bytes, its manifest says {declared.bytes}")
    if sha256.hexdigest() != declared.sha256:
        raise BackupDamagedError(f"{name} is not as it was written: its SHA-256 is another")


def _decrypt(name: str, content: Iterator[bytes], sink: Sink, identities: tuple[Any, ...]) -> None:
    pyrage = pyrage_module()
    if not identities:
        raise BackupError(f"{name} is encrypted", hint="name a key file with --identity FILE")
    source = _ByteSource(content)
    try:
        pyrage.decrypt_io(source, sink, list(identities))
    except (pyrage.DecryptError, OSError) as error:
        # Damage looks to it like a wrong key: the digest tells.
        source.drain()
        if isinstance(error, pyrage.DecryptError):
            raise BackupError(
                f"{name}: none of these identities can decrypt it", hint="name the right key file"
            ) from error
        if error.errno is not None:
            raise
        raise BackupDamagedError(f"{name} cannot be decrypted ({error})") from error


class _Flushable:
    def flush(self) -> None:
        """Do nothing: pyrage requires the method."""


class _DigestingSink(_Flushable):
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


class _ByteSource:
    """An iterator of bytes, as a file."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self._buffer = memoryview(b"")
        self._error: BackupError | None = None

    def read(self, size: int) -> bytes:
        while not self._buffer:
            try:
                piece = next(self._content, None)
            except BackupError as error:
                # pyrage makes an error of its own of what is raised here.
                self._error = error
                raise
            if piece is None:
                return b""
            self._buffer = memoryview(piece)
        chunk, self._buffer = bytes(self._buffer[:size]), self._buffer[size:]
        return chunk

    def drain(self) -> None:
        """Read to the end, and raise the error of an earlier read."""
        if self._error is not None:
            raise self._error
        for _ in self._content:
            pass


class _LimitedSink(_Flushable):
    """Passes on as many bytes as were declared, and not one more."""

    def __init__(self, name: str, limit: int, consume: Callable[[bytes], None]) -> None:
        self._name = name
        self._remaining = limit
        self._consume = consume

    def write(self, content: bytes) -> int:
        self._remaining -= len(content)
        if self._remaining < 0:
            raise BackupDamagedError(f"{self._name} holds more than its manifest says")
        self._consume(content)
        return len(content)

    def end(self) -> None:
        if self._remaining:
            raise BackupDamagedError(
                f"{self._name} holds {self._remaining} bytes less than it should"
            )


class _DecompressingSink(_Flushable):
    """Passes on what was compressed, in pieces of a limited size."""

    def __init__(self, name: str, sink: _LimitedSink) -> None:
        self._name = name
        self._sink = sink
        self._zstd = _zstd()
        self._decompressor = self._zstd.ZstdDecompressor()

    def write(self, content: bytes) -> int:
        compressed = content
        try:
            while compressed or not (self._decompressor.needs_input or self._decompressor.eof):
                self._sink.write(
                    self._decompressor.decompress(compressed, max_length=_UNPACKED_BYTES)
                )
                compressed = b""
        except (self._zstd.ZstdError, EOFError) as error:
            raise BackupDamagedError(f"{self._name} cannot be decompressed ({error})") from error
        return len(content)

    def end(self) -> None:
        if not self._decompressor.eof or self._decompressor.unused_data:
            raise BackupDamagedError(f"{self._name} does not end where its compression does")
        self._sink.end()


def _compressed(content: Iterator[bytes]) -> Iterator[bytes]:
    compressor = _zstd().ZstdCompressor(level=_LEVEL)
    for piece in content:
        if packed := compressor.compress(piece):
            yield packed
    yield compressor.flush()


def _zstd() -> Any:
    with extra("backup", "zstd"):
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    return zstd
