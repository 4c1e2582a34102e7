"""`FixedStore`: records that never change."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from khive_persist.errors import ConflictError, InvalidRecordError
from khive_persist.models.node import Immutable
from khive_persist.models.query import column
from khive_persist.models.refusal import refusal
from khive_persist.store import codec
from khive_persist.store.callbacks import Tally
from khive_persist.store.source import select
from khive_persist.store.store import Store

Record = TypeVar("Record", bound=Immutable)


class InsertResult(NamedTuple, Generic[Record]):
    """The record under an id, and whether it was inserted just now."""

    record: Record
    created: bool

    @property
    def is_new(self) -> bool:
        """The old name of `created`."""
        warnings.warn("is_new is called created", DeprecationWarning, stacklevel=2)
        return self.created


class FixedStore(Store[Record]):
    """Records of which the first under an id stays; `delete` alone takes it out.

    Whoever saves another one, in whichever process, is told so.
    """

    async def insert_if_absent(self, record: Record) -> InsertResult[Record]:
        """Save a record unless its id is there: committed, synced and copied on return.

        Of many who insert one id at once, in whichever processes, one wins, and all get its
        record. Concurrent calls share commits. Cancelled before its commit has begun, nothing is
        saved; after, it is.

        Raises:
            InvalidRecordError: It is not JSON, or what it is known by looks like a secret.
            StoreError: As its subclasses say; it is not saved.
        """
        self._check_open()
        async with self._reporting:
            writer, row = self._writer(record), self._checked_row(record)
            filters = [column("id") == record.id]
            while not (created := await writer.insert(row)):
                rows = await self._reader.fetch(lambda source: select(source, filters))
                # None is found where somebody has deleted it in between.
                if rows:
                    row = codec.as_text(rows[0])
                    break
        if created and self._reporter is not None:
            await self._reporter.saved(writer.path, Tally([row]))
        return InsertResult(codec.from_row(self.record, row), created)

    async def keep(self, record: Record) -> InsertResult[Record]:
        """Do what `insert_if_absent` does, by its old name."""
        warnings.warn("keep is called insert_if_absent", DeprecationWarning, stacklevel=2)
        return await self.insert_if_absent(record)

    async def save(self, record: Record) -> Record:
        """Save a record, unless the very same is there: committed, synced and copied on return.

        Raises:
            ConflictError: Another one has its id; that one stays.
            InvalidRecordError: As for `insert_if_absent`.
            StoreError: As its subclasses say; it is not saved.
        """
        result = await self.insert_if_absent(record)
        if not result.created:
            _check_same(record.id, result.record.content, self.stored_content(record))
        return record

    async def save_many(self, records: Iterable[Record], *, atomic: bool = True) -> int:
        """Save records, always in one transaction: committed, synced and copied on return.

        Returns:
            How many they were, with those that were there.

        Raises:
            ConflictError: Another one has the id of one of them; none is saved.
            InvalidRecordError: As for `insert_if_absent`; none is saved.
            StoreError: As its subclasses say; none is saved.
        """
        self._check_open()
        (writer,) = self._writers.values()
        rows: dict[str, codec.StoredRow] = {}
        count = 0

        def is_same(existing: Any, row: Any) -> bool:
            _check_same(row[0], codec.column(existing[1]), codec.column(row[1]))
            return True

        async with self._reporting:
            for record in records:
                row = self._checked_row(record)
                is_same(rows.setdefault(record.id, row), row)
                count += 1
            await writer.merge(list(rows.values()), is_same=is_same)
        if self._reporter is not None:
            await self._reporter.saved(writer.path, Tally(rows.values()))
        return count

    async def revise(
        self, id: str, change: Callable[[Record | None], Record | None]
    ) -> Record | None:
        """Save what a function makes of a record that is not there yet; see `Store.revise`.

        Raises:
            ConflictError: It is there, and what was made of it says something else.
        """

        def unchanged(existing: Record | None) -> Record | None:
            revised = change(existing)
            if existing is not None and revised is not None:
                _check_same(id, existing.content, revised.content)
            return revised

        return await super().revise(id, unchanged)

    def stored_content(self, record: Record) -> Any:
        """Return the content that a record will have in the file, without its secrets."""
        return codec.column(self._row(record)[1])

    def _checked_row(self, record: Record) -> codec.StoredRow:
        row = self._row(record)
        try:
            # As it will be stored: a placeholder in a name is no name.
            self.record.model_validate({"id": row[0], "content": codec.column(row[1])})
        except ValidationError as error:
            raise InvalidRecordError(
                f"it cannot be kept without what looks like a secret ({refusal(error)})"
            ) from error
        return row


def _check_same(id: str, existing: Any, content: Any) -> None:
    if existing != content:
        raise ConflictError(f"{id!r} is there, says something else, and never changes")
