"""`index`: the pieces of each file of a backup.

Files are cut into pieces of one size, which pages of SQLite divide: a page that did not change is
in a piece that some backup has already. A piece is known by its SHA-256.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from khive_persist.errors import BackupDamagedError
from khive_persist.maintenance.backup.manifest import CONFIG, DATABASE, MIRROR, Manifest
from khive_persist.store import codec

NAME: Final = "index"
PIECE_BYTES: Final = 65_536
MIRROR_FILE: Final = re.compile(rf"{MIRROR}/[A-Za-z0-9_][A-Za-z0-9_.-]{{0,240}}\Z")
_DIGEST_BYTES: Final = 32


class IndexedFile(NamedTuple):
    """One file: its path in `.khive`, its size in bytes, its digest, and those of its pieces."""

    name: str
    size: int
    sha256: str
    pieces: tuple[bytes, ...]

    def offsets(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield each piece: its digest, where it begins, and its size."""
        for number, digest in enumerate(self.pieces):
            offset = number * PIECE_BYTES
            yield digest, offset, min(PIECE_BYTES, self.size - offset)


class Index(NamedTuple):
    """All files of a backup, each once."""

    entries: tuple[IndexedFile, ...]

    def digests(self) -> frozenset[bytes]:
        """Return every piece that some file is made of."""
        return frozenset(digest for entry in self.entries for digest in entry.pieces)

    def packed(self, parent_digests: frozenset[bytes]) -> list[tuple[bytes, int]]:
        """Return the digests and sizes of the pieces that its parent lacks: its pack, in order."""
        sizes: dict[bytes, int] = {}
        for entry in self.entries:
            for digest, _, size in entry.offsets():
                if digest not in parent_digests and sizes.setdefault(digest, size) != size:
                    raise BackupDamagedError(f"{entry.name}: one piece has two sizes")
        return list(sizes.items())


def dump(index: Index) -> bytes:
    """Serialise an index as JSON."""
    files = [
        {
            "name": entry.name,
            "bytes": entry.size,
            "sha256": entry.sha256,
            # Of a file of one piece, its own digest says it.
            "pieces": base64.b64encode(b"".join(entry.pieces)).decode()
            if len(entry.pieces) > 1
            else "",
        }
        for entry in index.entries
    ]
    return codec.dump({"files": files}).encode()


def load(manifest: Manifest, content: bytes) -> Index:
    """Return the index of a backup.

    Raises:
        BackupDamagedError: It names a file that no backup has, or one twice; sizes, digests and
            pieces do not belong together; or it is not that of the manifest.
    """
    try:
        entries = tuple(_entry(**file) for file in codec.load(content)["files"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        reason = f"its index is not valid ({error})"
        raise BackupDamagedError(f"backup {manifest.id}: {reason}") from error
    names = [entry.name.casefold() for entry in entries]
    if len(set(names)) != len(names):
        raise BackupDamagedError(f"backup {manifest.id}: its index names a file twice")
    mirror = [entry for entry in entries if "/" in entry.name]
    others = {(e.name, e.size, e.sha256) for e in entries if "/" not in e.name}
    if (
        others != {(file.name, file.bytes, file.sha256) for file in manifest.files}
        or len(mirror) != manifest.mirror_files
        or sum(entry.size for entry in mirror) != manifest.mirror_bytes
    ):
        raise BackupDamagedError(f"backup {manifest.id}: its index is not that of its manifest")
    return Index(entries)


def _entry(*, name: Any, bytes: Any, sha256: Any, pieces: Any) -> IndexedFile:
    if not isinstance(name, str) or not (
        name == CONFIG or DATABASE.match(name) or MIRROR_FILE.match(name)
    ):
        raise ValueError(f"{name!r} is no name of a file of .khive")
    if type(bytes) is not int or bytes < 0:
        raise ValueError(f"{name}: no size")
    file_digest = binascii.unhexlify(sha256)
    joined = base64.b64decode(pieces, validate=True)
    if not joined:
        joined = file_digest if bytes else b""
    elif bytes <= PIECE_BYTES:
        raise ValueError(f"{name}: too many pieces")
    digests = [
        joined[start : start + _DIGEST_BYTES] for start in range(0, len(joined), _DIGEST_BYTES)
    ]
    if len(file_digest) != _DIGEST_BYTES or len(joined) % _DIGEST_BYTES:
        raise ValueError(f"{name}: no digest")
    if len(digests) != -(-bytes // PIECE_BYTES):
        raise ValueError(f"{name}: {len(digests)} pieces cannot be {bytes} bytes")
    if not bytes and file_digest != hashlib.sha256().digest():
        raise ValueError(f"{name}: not the digest of nothing")
    return IndexedFile(name, bytes, sha256, tuple(digests))
