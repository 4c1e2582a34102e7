"""`Batch`: one batch of a file that the index follows."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Final

from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.search_index import source
from khive_persist.search_index.index import Index, Known, Position
from khive_persist.search_index.passages import indexed
from khive_persist.search_index.source import SourceRow
from khive_persist.store.sqlite import change_log, write_lock
from khive_persist.store.sqlite.connection import Connection

BATCH_RECORDS: Final = 2_000
_BATCH_CHARACTERS: Final = 8 << 20
# What was changed is read so many at once.
_CHUNK: Final = 100
_CHECKED_AT_ONCE: Final = 5_000
_DIGEST_BYTES: Final = 16


class Batch:
    """One batch of a file: a snapshot of it, and an open transaction of the index."""

    def __init__(self, reader: Connection, purpose: Purpose, index: Index) -> None:
        self._reader = reader
        self._purpose = purpose
        self._index = index
        self._characters = 0

    def read_removed(self, remover: str) -> int:
        """Read anew what a remover has changed; how many records."""
        ids = self._index.pending(self._purpose.name, _CHUNK, remover)
        self._renew(ids)
        self._index.drop_pending(self._purpose.name, ids, remover)
        return len(ids)

    def read_pending(self, project: Project) -> int:
        """Read anew what somebody was about to change, unless he is still at it."""
        ids = self._index.pending(self._purpose.name, _CHUNK)
        if not ids:
            return 0
        alone = write_lock.try_acquire(write_lock.gate_path(project.search_index))
        if alone is None:
            return 0
        try:
            self._renew(ids)
            self._index.drop_pending(self._purpose.name, ids)
        finally:
            os.close(alone)
        return len(ids)

    def scan(self, position: Position) -> int:
        """Compare the next rows of the table by their digests."""
        assert position.scanned is not None
        listed = source.ids_after(self._reader, self._purpose, position.scanned, BATCH_RECORDS)
        if not listed:
            self._index.set_position(self._purpose.name, position._replace(scanned=None))
            return 0
        entries = self._index.known(self._purpose.name, [id for _, id in listed])
        rowids = {id: rowid for rowid, id in listed}
        rows = source.rows_between(self._reader, self._purpose, position.scanned, listed[-1][0])
        count, scanned = 0, listed[-1][0]
        for row in rows:
            self._put(row, entries)
            count += 1
            if self._characters >= _BATCH_CHARACTERS:
                scanned = rowids[row.id]
                break
        self._index.set_position(self._purpose.name, position._replace(scanned=scanned))
        return count

    def check(self, position: Position) -> int:
        """Take out the next records of the index that the table has no longer."""
        assert position.checked is not None
        name = self._purpose.name
        records = self._index.records_after(name, position.checked, _CHECKED_AT_ONCE)
        last = records[-1][0] if records else None
        present = change_log.present(self._reader, self._purpose.table, [id for _, id in records])
        for number, id in records:
            if id not in present:
                self._index.take_out(number)
        self._index.set_position(name, position._replace(checked=last))
        return len(records)

    def follow(self, position: Position) -> tuple[int, bool]:
        """Take in the next entries of the log; how many, and whether they were the last."""
        last = change_log.last(self._reader) if change_log.is_there(self._reader) else 0
        first = change_log.first_after(self._reader, position.seq) if last > position.seq else None
        if first is None:
            if last > position.seq:
                self._index.set_position(self._purpose.name, position._replace(seq=last))
            return 0, True
        until = min(last, first + BATCH_RECORDS)
        changes = change_log.changes(self._reader, position.seq, until)
        seqs: dict[str, int] = {}
        for seq, change in changes.items():
            seqs.setdefault(change.id, seq)
        ids = list(seqs)
        for start in range(0, len(ids), _CHUNK):
            self._renew(ids[start : start + _CHUNK])
            if self._characters >= _BATCH_CHARACTERS and start + _CHUNK < len(ids):
                # What comes before the first of those that are left is in.
                until = seqs[ids[start + _CHUNK]] - 1
                break
        self._index.set_position(self._purpose.name, position._replace(seq=until))
        return len(ids), until == last

    def _renew(self, ids: Sequence[str]) -> None:
        """Bring the index to what the table has of some records now."""
        entries = self._index.known(self._purpose.name, ids)
        missing = set(entries)
        for row in source.rows_of_ids(self._reader, self._purpose, ids):
            missing.discard(row.id)
            self._put(row, entries)
        for id in missing:
            self._index.take_out(entries[id].number)

    def _put(self, row: SourceRow, entries: Mapping[str, Known]) -> None:
        digest = digest_of(row)
        record = entries.get(row.id)
        if record is not None and record.digest == digest:
            return
        if record is not None:
            self._index.take_out(record.number)
        of_row = indexed(self._purpose, row)
        self._index.put(self._purpose.name, row.id, digest, of_row)
        self._characters += len(row.content or "")


def digest_of(row: SourceRow) -> bytes:
    """Return the digest by which a row is known to be what the index has."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    digest.update((row.content or "").encode("utf-8", "surrogatepass"))
    digest.update(f"\0{row.created_at}".encode("utf-8", "surrogatepass"))
    return digest.digest()
