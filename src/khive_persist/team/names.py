"""The names by which a team knows who sends, and the settings by which records leave."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.sqlite.team.ledger import Sender
from khive_persist.trust import marks
from khive_persist.trust.macs import KeyedHashes

_DIGEST_BYTES: Final = 16


class Names:
    """The names by which a team knows who sends: chosen ones, or keyed hashes.

    Attributes:
        hashes: The hashes of this user's key.
        person: The person.
        machine: The machine.
        project: The project.
    """

    def __init__(self, project: Project, settings: Settings) -> None:
        """Read the key.

        Raises:
            ProjectError: It cannot be read or made, or would not outlast the process.
        """
        self.hashes = KeyedHashes()
        # The key is this user's on this machine. A container has another host name each time.
        self.person = settings.team_person or self.hashes.of("person", "")
        self.machine = settings.team_machine or self.hashes.of("machine", "")
        mark = marks.digits(project.khive)
        self.project = settings.team_project or self.hashes.of("project", mark)

    def sender(self, *, is_hashed: bool) -> Sender:
        """Return them as the ledger has them."""
        return Sender(self.machine, self.project, is_hashed)


def manner_of(form: str, names: Names, settings: Settings) -> str:
    """Return a digest of all by which records leave in a form."""
    is_redacted = form == "redacted"
    redaction = [settings.redaction_allow, settings.redaction_deny] if is_redacted else []
    parts: Sequence[Any] = [form, names.person, names.machine, names.project, redaction]
    return hashlib.blake2b(codec.dump(parts).encode(), digest_size=_DIGEST_BYTES).hexdigest()
