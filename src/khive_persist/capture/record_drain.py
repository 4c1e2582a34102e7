"""Records from the spool into their databases: in order, each unless somebody has saved it since.

A file is removed after the commit, and the row that it wrote is one that it may write again. So
whatever stops a drain, at whatever point, the next one ends with the same rows.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final

from khive_persist.capture.fallback_spool import waits
from khive_persist.capture.record_file import RecordFile, SpooledRecord, decode, digest
from khive_persist.capture.spool import Spool
from khive_persist.errors import (
    InvalidRecordError,
    KhiveError,
    MirrorError,
    ProjectError,
)
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN, Purpose
from khive_persist.project import Project, sync_directory
from khive_persist.store.commit_together import commit_together
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.sqlite.transaction import Transaction

_BATCH_RECORDS: Final = 128
_log = logging.getLogger("khive_persist")

_Batch = list[tuple[RecordFile, SpooledRecord]]


class RecordDrain:
    """Drain the records of one project. Whoever calls it holds the drain's lock."""

    def __init__(
        self, project: Project, spool: Spool, writer_of: Callable[[Purpose], FileWriter]
    ) -> None:
        self._project = project
        self._spool = spool
        self._writer_of = writer_of

    def run(self, errors: list[KhiveError], only: Collection[str] | None = None) -> int:
        """Bring in the records that lie here: in database and mirror on return; count them.

        Args:
            errors: The list that gets the reasons why some wait on, one error a purpose.
            only: The names of the purposes; None for all.
        """
        by_purpose: dict[str, list[RecordFile]] = {}
        for file in self._spool.records():
            if only is None or file.purpose in only:
                by_purpose.setdefault(file.purpose, []).append(file)
        if not by_purpose:
            return 0
        purposes = {purpose.name: purpose for purpose in self._purposes()}
        stored_count = 0
        for name, files in by_purpose.items():
            try:
                if name not in purposes:
                    raise InvalidRecordError(
                        f"records of {name} wait in {self._spool.path}, and no class of that name"
                        " was opened here",
                        hint="open its store",
                    )
                stored_count += self._drain(purposes[name], files, errors)
            except KhiveError as error:
                errors.append(error)
        return stored_count

    def _purposes(self) -> Sequence[Purpose]:
        try:
            return known_purposes(self._project)
        except InvalidRecordError:
            return BUILT_IN

    def _drain(
        self, purpose: Purpose, files: Sequence[RecordFile], errors: list[KhiveError]
    ) -> int:
        stored_count = 0
        records = self._read(files, errors)
        while batch := list(islice(records, _BATCH_RECORDS)):
            stored_count += self._store(purpose, batch)
        with suppress(OSError):
            # One that came back after a power loss would bring back what was deleted since.
            sync_directory(self._spool.path)
        return stored_count

    def _read(
        self, files: Sequence[RecordFile], errors: list[KhiveError]
    ) -> Iterator[tuple[RecordFile, SpooledRecord]]:
        for file in files:
            if not self._spool.is_file(file):
                self._set_aside(file, "it is no file")
                continue
            try:
                yield file, decode(self._project.khive, file, self._spool.read(file))
            except ProjectError:
                raise
            except FileNotFoundError:
                continue
            except OSError as error:
                # It stays as it is, counted as left, and must not hold up the others.
                errors.append(waits(self._spool, file, error))
            except ValueError:
                self._set_aside(file, "this user's programs did not write it, or not to its end")

    def _store(self, purpose: Purpose, batch: _Batch) -> int:
        def refuse(pair: tuple[RecordFile, SpooledRecord], error: BaseException) -> int:
            self._set_aside(pair[0], str(error))
            return 0

        return sum(commit_together(batch, partial(self._commit, purpose), refuse))

    def _commit(self, purpose: Purpose, batch: _Batch) -> int:
        passed_by: list[RecordFile] = []
        # What is not in the mirror is in the log: the next opening copies it.
        with suppress(MirrorError), self._writer_of(purpose).transaction() as writing:
            passed_by = _save(writing, purpose, batch)
        for file, _ in batch:
            if file in passed_by:
                self._set_aside(file, "its record was saved by somebody else since")
            else:
                self._spool.remove(file)
        return len(batch) - len(passed_by)

    def _set_aside(self, file: RecordFile, reason: str) -> None:
        # Gone meanwhile, or not ours to move: then it stays, counted as left.
        with suppress(OSError, ProjectError):
            self._spool.set_aside(file, self._project.quarantine)
            _log.warning("%s is set aside in %s: %s", file.name, self._project.quarantine, reason)


def _save(writing: Transaction, purpose: Purpose, batch: _Batch) -> list[RecordFile]:
    """Save the records that are newer than the row under their id; return the others' files."""
    ids = [record.row[0] for _, record in batch]
    rows = fetch_ids(writing.connection, purpose.table, list(dict.fromkeys(ids)))
    digests = {row[0]: digest(row) for row in rows}
    passed_by: dict[tuple[str, str], RecordFile] = {}
    for file, (row, replaces) in batch:
        id, new = row[0], digest(row)
        existing = digests.get(id)
        # Versions that this one is newer than are no loss.
        for replaced in replaces:
            passed_by.pop((id, replaced), None)
        if existing is None or existing in replaces:
            writing.upsert([row])
            digests[id] = new
        elif existing != new:
            passed_by[id, new] = file
    return list(passed_by.values())
