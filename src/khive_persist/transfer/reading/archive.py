"""A mirror in a tar archive, packed or not: taken apart into a folder of ours, or refused.

Nothing of an archive is believed: no name of it leads anywhere, it makes no links and no devices,
and it cannot fill the disk.
"""

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from khive_persist.errors import InvalidFileError
from khive_persist.project import PRIVATE_FILE, make_directory
from khive_persist.store.sqlite.foreign_files import is_database
from khive_persist.transfer.formats import unpacked
from khive_persist.transfer.reading.folder import is_mirrored

# Text of JSON becomes a tenth, at most a fiftieth; what becomes less was made to fill a disk.
MAX_RATIO: Final = 200
MIN_LIMIT_BYTES: Final = 64 << 20
MAX_FILES: Final = 2_000_000
_MAX_HEADER_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 20
_MAGIC: Final = slice(257, 262)
_HEAD_BYTES: Final = 512
_TOO_LARGE: Final = "it unpacks to more than it may"
_HINT: Final = "pack the mirror alone: tar czf mirror.tgz -C .khive sessions"
_EXTENDED: Final = frozenset(
    {
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)  # fmt: skip


class ExtractedMirror(NamedTuple):
    """The folder of a mirror that was taken out of an archive, and what else that has."""

    folder: Path
    other_files: list[str]


def is_archive(path: Path) -> bool:
    """Return whether a file is a tar archive, packed or not.

    Raises:
        StoreError: It is a database that cannot be read.
        OSError: It cannot be read.
    """
    if not path.is_file() or is_database(path):
        return False
    try:
        with path.open("rb") as file, unpacked(file, str(path)) as plain:
            return plain.peek(_HEAD_BYTES)[_MAGIC] == b"ustar"
    except InvalidFileError:
        # What is damaged as early as this says so itself when it is read.
        return False


def extract(path: Path, folder: Path, advance: Callable[[int], None]) -> ExtractedMirror:
    """Take the mirror out of an archive.

    Args:
        folder: Empty and private; all that is written is in it.
        advance: A callback, called from time to time.

    Raises:
        InvalidFileError: It is damaged; it holds something else than files, names that lead out of
            it, more than it may, or not one mirror.
        OSError: It cannot be read, or the folder not written.
    """
    free = shutil.disk_usage(folder).free // 2
    limit = min(free, max(MIN_LIMIT_BYTES, MAX_RATIO * path.stat().st_size))
    folders: dict[str, Path] = {}
    names: dict[str, list[str]] = {}
    claimed = 0
    with path.open("rb") as file, unpacked(file, str(path)) as plain:
        source: Any = _BoundedReader(plain, limit, path, advance)
        try:
            # A stream, so that no header leads back or ahead in it.
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_Member) as archive:
                for number, member in enumerate(archive):
                    if number == MAX_FILES:
                        raise _refused(path, f"it has more than {MAX_FILES} files")
                    claimed += member.size
                    if claimed > limit:
                        raise _refused(path, _TOO_LARGE)
                    parent, name = _checked(path, member)
                    if not member.isreg() or name.startswith("."):
                        continue
                    if parent not in folders:
                        folders[parent] = folder / str(len(folders))
                        make_directory(folders[parent])
                    names.setdefault(parent, []).append(name)
                    _write(path, archive.extractfile(member), folders[parent] / name)
            source.drain()
        except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
            if isinstance(error, InvalidFileError):
                raise
            raise InvalidFileError(f"{path} is damaged ({error})") from error
    mirrors = [parent for parent in folders if any(map(is_mirrored, names[parent]))]
    if len(mirrors) != 1:
        raise _refused(path, "it has no mirror" if not mirrors else "it has several mirrors")
    other_files = [
        f"{parent}/{name}".lstrip("/")
        for parent in folders
        if parent not in mirrors
        for name in names[parent]
    ]
    return ExtractedMirror(folders[mirrors[0]], other_files)


class _Member(tarfile.TarInfo):
    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        member = super().frombuf(buf, encoding, errors)
        # Such a header is read into memory as a whole.
        if member.type in _EXTENDED and member.size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header of more than a megabyte")
        return member


class _BoundedReader:
    """Reads a stream, as far as it may go."""

    def __init__(
        self, plain: IO[bytes], limit: int, path: Path, advance: Callable[[int], None]
    ) -> None:
        self._plain = plain
        self._remaining = limit
        self._path = path
        self._advance = advance
        self._tail = b""

    def read(self, size: int) -> bytes:
        chunk = self._plain.read(size)
        self._remaining -= len(chunk)
        if self._remaining < 0:
            raise _refused(self._path, _TOO_LARGE)
        self._tail = (self._tail + chunk)[-_HEAD_BYTES:]
        self._advance(0)
        return chunk

    def drain(self) -> None:
        """Read to the end, which an archive that was cut does not have."""
        while self.read(_CHUNK_BYTES):
            pass
        if self._tail.strip(b"\0"):
            raise InvalidFileError(f"{self._path} is damaged (it has no end)")


def _checked(path: Path, member: tarfile.TarInfo) -> tuple[str, str]:
    """Return the folder of a member and its name in it."""
    name_shown = member.name[:80].encode("unicode_escape").decode()
    if member.issym() or member.islnk():
        raise _refused(path, f"{name_shown} is a link")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise _refused(path, f"{name_shown} is neither a file nor a folder")
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise _refused(path, f"{name_shown} leads out of it")
    *parents, name = [part for part in parts if part not in ("", ".")] or [""]
    if not name and member.isreg():
        raise _refused(path, "it has a file without a name")
    return "/".join(parents), name


def _write(path: Path, source: IO[bytes] | None, target: Path) -> None:
    assert source is not None
    try:
        descriptor = os.open(
            target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE
        )
    except FileExistsError as error:
        raise _refused(path, f"it has {target.name[:80]!r} twice") from error
    with open(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)


def _refused(path: Path, reason: str) -> InvalidFileError:
    return InvalidFileError(f"{path} is refused, {reason}", hint=_HINT)
