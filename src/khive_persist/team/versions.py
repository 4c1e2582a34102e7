"""The versions of records as they leave, and the batches that they leave in."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import Purpose
from khive_persist.store.codec import StoredRow
from khive_persist.store.session_ids import session_of
from khive_persist.store.sqlite.team.ledger import Entry, Ledger, Place, Sender
from khive_persist.team.destination import MOST_BYTES, MOST_RECORDS
from khive_persist.team.form import Forms
from khive_persist.team.names import Names
from khive_persist.team.team_record import TeamRecord

_DIGEST_BYTES: Final = 16
# No destination takes all of a larger one: its metrics leave.
_MOST_CONTENT: Final = 4 << 20


class Outgoing(NamedTuple):
    """A version of a record, in the ledger and as it leaves, and its size in bytes."""

    entry: Entry
    record: TeamRecord
    size: int


class Versions:
    """Makes the versions of a project's records."""

    def __init__(self, names: Names, forms: Forms) -> None:
        self._names = names
        self._forms = forms

    def of_row(
        self,
        purpose: Purpose,
        form: str,
        sender: int,
        row: StoredRow,
        entries: Sequence[Entry],
        ledger: Ledger,
    ) -> Outgoing | None:
        """Return a record as it leaves; None where the team has it so.

        Where it is at another place, it is to be taken out there from now on.

        Args:
            purpose: Its purpose.
            form: The form that it leaves in.
            sender: The number of the sender.
            row: The record.
            entries: All places of it.
            ledger: The ledger.
        """
        session = session_of(row) or ""
        place = Place(purpose.name, row[0], sender, session)
        for entry in entries:
            if entry.place != place and entry.withdrawal is None:
                ledger.withdraw(entry, "moved")
        record = self._record(purpose, form, session, row)
        text = record.to_json().encode()
        digest = hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()
        previous = next((entry for entry in entries if entry.place == place), None)
        if previous is None or previous.withdrawal is not None or previous.digest != digest:
            version = ledger.next_version(None if previous is None else previous.version)
        elif previous.sent_at is None:
            version = previous.version
        else:
            return None
        entry = Entry(place, version, record.form, record.created_at, digest)
        # In place of the 0, and with the end of its line.
        size = len(text) + len(str(version))
        return Outgoing(entry, record._replace(version=version), size)

    def tombstone(self, entry: Entry, sender: Sender) -> Outgoing:
        """Return the version that takes a record out at its place."""
        form = "metrics" if sender.is_hashed else "all"
        record = TeamRecord(
            person=self._names.person,
            machine=sender.machine,
            project=sender.project,
            purpose=entry.place.purpose,
            session=_sound(self._forms.session(form, entry.place.session_id)),
            id=_sound(self._forms.id(form, entry.place.id)),
            version=entry.version,
            form=entry.form,
            created_at=entry.created_at,
            content=None,
        )
        return Outgoing(entry, record, len(record.to_json().encode()) + 1)

    def _record(self, purpose: Purpose, form: str, session: str, row: StoredRow) -> TeamRecord:
        """Return a record as it leaves, without its version."""
        instant = clock.from_column(row[3])
        at = None if instant is None else clock.to_text(instant)
        content, content_form = _sound(self._forms.content(form, purpose, row[1], at)), form
        if len(content) > _MOST_CONTENT:
            content, content_form = self._forms.content("metrics", purpose, row[1], at), "metrics"
        return TeamRecord(
            person=self._names.person,
            machine=self._names.machine,
            project=self._names.project,
            purpose=purpose.name,
            session=_sound(self._forms.session(form, session)),
            id=_sound(self._forms.id(form, row[0])),
            version=0,
            form=content_form,
            created_at=at,
            content=content,
        )


def batches(outgoing: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Yield versions in order, in batches as a destination takes them; a large one goes alone."""
    batch: list[Outgoing] = []
    size = 0
    for item in outgoing:
        if batch and (len(batch) == MOST_RECORDS or size + item.size > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch


def _sound(text: str) -> str:
    """Return a text that UTF-8 can spell: a lone surrogate is replaced."""
    return text.encode("utf-8", "replace").decode()
