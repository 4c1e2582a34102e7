"""What goes through redaction before it is stored, by the settings and the key of its place."""

import os
from typing import Final

from khive_persist.errors import PlaceError
from khive_persist.place import Place, write_private
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store import codec

KEY_FILE: Final = "redaction.key"
_KEY_BYTES: Final = 32


def load_redactor(place: Place, settings: Settings) -> Redactor | None:
    """The redactor of a place, or None where its settings turn redaction off.

    Its key is made at the first use. It makes the tags of placeholders: without it, nobody can try
    passwords against the tag of a shared file.

    Raises:
        PlaceError: The key cannot be read or made.
    """
    if not settings.redaction_enabled:
        return None
    path = place.khive / KEY_FILE
    try:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = b""
        if len(key) != _KEY_BYTES:
            key = os.urandom(_KEY_BYTES)
            write_private(path, key)
    except OSError as error:
        raise PlaceError(f"{path}: {error.strerror}") from error
    return Redactor(key, settings.redaction_allow)


def seal(redactor: Redactor, row: codec.Row) -> codec.Row:
    """A row without secrets in its JSON; `redacted` in its metadata says how many of which kind."""
    id, content, metadata, created_at, embedding = row
    # Nearly every row has none, and one look at both columns costs half of two.
    if not redactor.redact_json(f"[{content or 'null'},{metadata or 'null'}]")[1]:
        return row
    found: dict[str, int] = {}
    if content is not None:
        content, found = redactor.redact_json(content)
    metadata, more = redactor.redact_json(metadata or "{}")
    kinds = found.keys() | more.keys()
    counts = {kind: found.get(kind, 0) + more.get(kind, 0) for kind in sorted(kinds)}
    metadata = codec.dump(codec.load(metadata) | {"redacted": counts})
    return id, content, metadata, created_at, embedding
