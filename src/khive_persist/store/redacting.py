"""Redaction of rows before they are stored, by the settings and the key of their project."""

import errno
import fcntl
import os
from collections import Counter
from contextlib import suppress
from typing import Final

from khive_persist.errors import ProjectError
from khive_persist.files import read_regular
from khive_persist.project import Project, write_private
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.trust import macs

KEY_FILE: Final = "redaction.key"
_KEY_BYTES: Final = 32
_MAC_BYTES: Final = 64
_MOST_BYTES: Final = 4096


def load_redactor(project: Project, settings: Settings) -> Redactor | None:
    """Return the redactor of a project, or None where its settings turn redaction off.

    Its key is made at the first use, and made anew where another one lies there than ours. It makes
    the tags of placeholders: without it, nobody can try passwords against the tag of a shared file.

    Raises:
        ProjectError: The key cannot be read or made.
    """
    if not settings.redaction_enabled:
        return None
    path = project.khive / KEY_FILE
    try:
        key = read_key(project) or _made_key(project)
    except ProjectError:
        raise
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror}") from error
    return Redactor(key, settings.redaction_allow, settings.redaction_deny)


def _made_key(project: Project) -> bytes:
    """Make a key, or read the one that another process made first."""
    folder = os.open(project.khive, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # Without locks, as on some file systems, the last one's key stays.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        key = read_key(project)
        if key is None:
            key = os.urandom(_KEY_BYTES)
            sign_key(project, key)
        return key
    finally:
        os.close(folder)


def read_key(project: Project, *, believed: bool = True) -> bytes | None:
    """Return the key of a project; None where there is none, or it is not ours.

    Args:
        believed: Whether it has to be ours.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        content = read_regular(project.khive / KEY_FILE, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EIO):
            raise
        # A link, a pipe or a folder in its place.
        return None
    key, mac = content[:_KEY_BYTES], content[_KEY_BYTES:].decode("ascii", "replace")
    if len(key) != _KEY_BYTES or len(mac) not in (0, _MAC_BYTES):
        return None
    return key if not believed or macs.is_ours(project.khive, KEY_FILE, key, mac) else None


def sign_key(project: Project, key: bytes) -> None:
    """Write the key of a project, as ours.

    Raises:
        OSError: It cannot be written.
    """
    write_private(project.khive / KEY_FILE, key + macs.mac(project.khive, KEY_FILE, key).encode())


def redact_row(redactor: Redactor, row: codec.StoredRow) -> codec.StoredRow:
    """Take the secrets out of a row; `redacted` in its metadata says how many of which kind.

    Metadata that is no JSON object cannot say so; it is redacted all the same.
    """
    id, content, metadata, created_at, embedding = row
    counts = Counter[str]()
    content = _redacted(redactor, content, counts)
    metadata = _redacted(redactor, metadata, counts)
    # Numbers hold no secret, and there can be thousands.
    if embedding is not None and '"' in embedding:
        embedding = _redacted(redactor, embedding, counts)
    if not counts:
        return row
    return id, content, with_counts(metadata, counts), created_at, embedding


def with_counts(metadata: str | None, counts: dict[str, int]) -> str | None:
    """Add to metadata how many secrets of which kind were taken out."""
    fields = codec.column(metadata)
    if fields is not None and not isinstance(fields, dict):
        return metadata
    total = Counter(redacted_counts(metadata))
    total.update(counts)
    return codec.dump_lossy((fields or {}) | {"redacted": dict(sorted(total.items()))})


def redacted_counts(metadata: str | None) -> dict[str, int]:
    """Return how many secrets of which kind metadata says were taken out."""
    fields = codec.column(metadata)
    counts = fields.get("redacted") if isinstance(fields, dict) else None
    if not isinstance(counts, dict):
        return {}
    return {kind: count for kind, count in counts.items() if isinstance(count, int)}


def _redacted(redactor: Redactor, text: str | None, counts: Counter[str]) -> str | None:
    if text is not None:
        text, text_counts = redactor.redact_json(text)
        if text_counts:
            counts.update(text_counts)
    return text
