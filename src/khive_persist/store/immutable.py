"""`FixedStore`: records that never change."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from khive_persist.errors import ConflictError, InvalidRecordError
from khive_persist.models.immutable import Immutable
from khive_persist.models.query import column
from khive_persist.store import codec
from khive_persist.store.callbacks import Tally
from khive_persist.store.sqlite.statements import select
from khive_persist.store.store import Store

Record = TypeVar("Record", bound=Immutable)


class Kept(NamedTuple, Generic[Record]):
    """The record that is kept under an id, and whether it is new."""

    record: Record
    is_new: bool


class FixedStore(Store[Record]):
    """Records of which the first under an id stays; `delete` alone takes it out.

    Whoever saves another one, in whichever process, is told so.
    """

    async def keep(self, record: Record) -> Kept[Record]:
        """Save a record unless its id is there: committed, synced and copied on return.

        Of many who keep one id at once, in whichever processes, one wins, and all get its
        record. Concurrent calls share commits. Cancelled before its commit has begun, nothing is
        saved; after, it is.

        Raises:
            InvalidRecordError: It is not JSON, or what it is known by looks like a secret.
            StoreError: As its subclasses say; it is not saved.
        """
        self._check_open()
        async with self._reporting:
            writer, row = self._writer(record), self._checked_row(record)
            wanted = [column("id") == record.id]
            while not (is_new := await writer.insert(row)):
                found = await self._reader.fetch(lambda source: select(source, wanted))
                # None is found where somebody has deleted it in between.
                if found:
                    row = codec.as_text(found[0])
                    break
        if is_new and self._reporter is not None:
            await self._reporter.saved(writer.path, Tally([row]))
        return Kept(codec.from_row(self.record, row), is_new)

    async def save(self, record: Record) -> Record:
        """Save a record, unless the very same is there: committed, synced and copied on return.

        Raises:
            ConflictError: Another one has its id; that one stays.
            InvalidRecordError: As for `keep`.
            StoreError: As its subclasses say; it is not saved.
        """
        kept = await self.keep(record)
        if not kept.is_new:
            _check_same(record.id, kept.record.content, self.stored_content(record))
        return record

    async def save_many(self, records: Iterable[Record], *, atomic: bool = True) -> int:
        """Save records, always in one transaction: committed, synced and copied on return.

        Returns:
            How many they were, with those that were there.

        Raises:
            ConflictError: Another one has the id of one of them; none is saved.
            InvalidRecordError: As for `keep`; none is saved.
            StoreError: As its subclasses say; none is saved.
        """
        self._check_open()
        (writer,) = self._writers.values()
        rows: dict[str, codec.StoredRow] = {}
        count = 0

        def is_same(there: Any, row: Any) -> bool:
            _check_same(row[0], codec.column(there[1]), codec.column(row[1]))
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
        """As `Store.revise`, of one that is not there yet.

        Raises:
            ConflictError: It is there, and what was made of it says something else.
        """

        def unchanged(there: Record | None) -> Record | None:
            made = change(there)
            if there is not None and made is not None:
                _check_same(id, there.content, made.content)
            return made

        return await super().revise(id, unchanged)

    def stored_content(self, record: Record) -> Any:
        """The content that a record will have in the file, without its secrets."""
        return codec.column(self._row(record)[1])

    def _checked_row(self, record: Record) -> codec.StoredRow:
        row = self._row(record)
        try:
            # As it will be stored: a placeholder in a name is no name.
            self.record.model_validate({"id": row[0], "content": codec.column(row[1])})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise InvalidRecordError(
                f"it cannot be kept without what looks like a secret ({first['msg']})"
            ) from error
        return row


def _check_same(id: str, there: Any, content: Any) -> None:
    if there != content:
        raise ConflictError(f"{id!r} is there, says something else, and never changes")
