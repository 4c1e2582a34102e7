"""`ProjectKey`: the name of one person's project on one machine, in a path."""

import base64
import binascii
from typing import NamedTuple, Self

from khive_persist.store import codec


class ProjectKey(NamedTuple):
    """The name of one person's project on one machine."""

    person: str
    machine: str
    project: str

    @property
    def text(self) -> str:
        """The name in a path: the base64 of RFC 4648 §5 of its JSON, without padding."""
        return base64.urlsafe_b64encode(codec.dump(list(self)).encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Return the name of a path; None where it is none of ours."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            values = codec.load(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            return None
        if not isinstance(values, list) or len(values) != len(cls._fields):
            return None
        if not all(isinstance(value, str) and "\0" not in value for value in values):
            return None
        key = cls(*values)
        # One project has one name: what is copied has one place.
        return key if key.text == text else None
