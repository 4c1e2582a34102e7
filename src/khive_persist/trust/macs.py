"""Sign the files of a `.khive` that are believed: git, or an archive, can bring any of them later.

A file that we obey has a MAC by a key in the user's state folder, over its bytes and the id of its
`.khive`. Where no state folder can be written, the key lasts as long as the process.
"""

import hashlib
import hmac
import os
from functools import cache
from pathlib import Path
from typing import Final

from khive_persist.errors import ProjectError
from khive_persist.files import (
    PRIVATE_FILE,
    make_directory,
    read_regular,
    sync_directory,
)
from khive_persist.trust import marks

KEY: Final = "key"
_KEY_BYTES: Final = 32
# As many bits as a random id has.
_HASH_DIGITS: Final = 32


class KeyedHashes:
    """Hashes of texts by this user's key: the same in all projects of theirs.

    Without the key a hash tells only whether two texts of one kind are the same.
    """

    def __init__(self) -> None:
        """Read the key.

        Raises:
            ProjectError: It cannot be read or made, or would not outlast the process.
        """
        if marks.state_folder() is None:
            raise ProjectError(
                "no state folder can be written, so that no key of hashes would last",
                hint="set KHIVE_HOME to a folder of yours",
            )
        self._key = _key()

    def of(self, kind: str, text: str) -> str:
        """Return the hash of a text, in hex."""
        message = b"\0".join((b"hash", kind.encode(), text.encode("utf-8", "surrogatepass")))
        return hmac.digest(self._key, message, "sha256").hex()[:_HASH_DIGITS]


def mac(khive: Path, purpose: str, content: bytes) -> str:
    """Return the MAC of a file's content, in hex.

    Args:
        khive: The `.khive` that it lies in.
        purpose: The kind of file: one is never taken for another.
        content: The bytes of the file.

    Raises:
        ProjectError: The key cannot be read or made.
    """
    message = b"\0".join((purpose.encode(), marks.digits(khive).encode(), content))
    return hmac.new(_key(), message, hashlib.sha256).hexdigest()


def is_ours(khive: Path, purpose: str, content: bytes, candidate: object) -> bool:
    """Return whether a MAC is that of this content."""
    return isinstance(candidate, str) and hmac.compare_digest(
        candidate.encode("utf-8", "replace"), mac(khive, purpose, content).encode()
    )


def _key() -> bytes:
    folder = marks.state_folder()
    if folder is None:
        return _fleeting_key()
    path = folder / KEY
    try:
        make_directory(folder)
        try:
            key = read_regular(path, 1 << 16)
        except FileNotFoundError:
            key = _made_key(path)
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror}") from error
    if len(key) != _KEY_BYTES:
        raise ProjectError(f"{path} is no key", hint="move it away; what was signed by it is not")
    return key


def _made_key(path: Path) -> bytes:
    """Make a new key, or read the one that another process made first: a link never replaces."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        os.write(descriptor, os.urandom(_KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
    # What it signs may be synced before.
    sync_directory(path.parent)
    return read_regular(path, 1 << 16)


@cache
def _fleeting_key() -> bytes:
    return os.urandom(_KEY_BYTES)
