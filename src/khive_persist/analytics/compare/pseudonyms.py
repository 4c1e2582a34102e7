"""Names that stand for those of people and sessions: the same under one key."""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from khive_persist.errors import InvalidFileError
from khive_persist.project import write_private

KEY_BYTES: Final = 32
_CHARACTERS: Final = 16


def pseudonym(key: bytes, name: str) -> str:
    """Return `p_` and 64 bits in hex, of the HMAC-SHA-256 of a name under a key."""
    digest = hmac.new(key, name.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"p_{digest.hexdigest()[:_CHARACTERS]}"


def read_key(path: Path) -> bytes:
    """Return the key in a file, which is made where it is missing, private, of random bytes.

    Whoever has the key can tell which pseudonym a known name has; without it nobody can.

    Raises:
        InvalidFileError: What is there is shorter than 16 bytes.
        OSError: It cannot be read or made.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_hex(KEY_BYTES).encode()
        write_private(path, key)
    if len(key.strip()) < 16:
        raise InvalidFileError(f"{path} is too short for a key", hint="16 bytes or more")
    return key.strip()
