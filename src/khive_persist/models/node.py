"""`Node`: the base of every record, with the node-style calls of its class; `Immutable`."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Self

from khive_persist import clock
from khive_persist.errors import InvalidRecordError
from khive_persist.models.active_store import bound, save
from khive_persist.models.columns import Columns
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Field, Filter, Order
from khive_persist.models.stored_form import UNREADABLE, VERSION, stored_form

ODD_NUMBERS = "odd_numbers"

# Files keep the package in which the classes of the first version stood.
_PACKAGE: Final = "khive_persist.models."
_STORED_PACKAGE: Final = "khive_persist.records."


class RecordPaths(NamedTuple):
    """The files that have one record.

    Attributes:
        database: The SQLite file.
        mirror: The JSON document in `sessions/`, or the stream that has its line; None where the
            store keeps no mirror of it.
    """

    database: Path
    mirror: Path | None


class Node(Columns):
    """One record: a row of its purpose's table.

    A kind of record of your own is a subclass that names its file and table:

        class TrainingSession(Node):
            purpose = purpose("training_sessions", indexes=(("athlete", "created_at"),))

    Content is a dict, a TypedDict or a pydantic model (`content: Training`), with models, Decimal,
    Path, datetime, UUID and Enum inside; it comes back as it is declared. A field that the subclass
    declares is a part of the record: it stands in the row's content under its name. A row that does
    not fit what is declared has its content as it is, and `unreadable_content` in `node_metadata`
    says why.

    A subclass whose content has changed has a version and an `upgrade`:

        content_version: ClassVar[int] = 2

        @classmethod
        def upgrade(cls, content: Any) -> Any:
            return {**content, "focus": content.pop("area")}

    `upgrade` is given the content of a row of an older version, as the row has it, when it is read;
    with a second parameter, that version, too. What it returns is validated. The row stays as it is
    until the record is saved. A row of a newer version is read, and not saved.

    Attributes:
        content_version: The version of the content; `node_metadata` has that of a row, where it is
            not 1.
        id: The id, unique within the file; a random UUID unless given.
        content: JSON. Numbers that are not finite are refused at save.
        node_metadata: JSON about the record. `lion_class` names its class: data, never imported.
        created_at: An aware instant in UTC; a naive one is taken as UTC. It is set at the first
            save and kept by later ones.
        embedding: A list of numbers, or None.
    """

    purpose: ClassVar[Purpose]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        stored_form(cls)

    @classmethod
    def lion_class(cls) -> str:
        """Return the class's full name, as `node_metadata` has it."""
        module = cls.__module__
        if module.startswith(_PACKAGE):
            module = _STORED_PACKAGE + module.removeprefix(_PACKAGE)
        return f"{module}.{cls.__qualname__}"

    @classmethod
    def purpose_of(cls, content: Any) -> Purpose:
        """Return the purpose of a record with this content.

        Raises:
            InvalidRecordError: The class names none.
        """
        try:
            return cls.purpose
        except AttributeError:
            raise InvalidRecordError(
                f"{cls.__name__} names no file", hint="give it purpose = purpose('its_name')"
            ) from None

    @classmethod
    def purposes(cls) -> Sequence[Purpose]:
        """Return every purpose that records of this class have."""
        return (cls.purpose_of(None),)

    async def save(self) -> Self:
        """Save this record: committed, synced and copied on return. See `Store.save`.

        Where no store is open and the database cannot take it, it is in the spool on return, as
        by `save_planning_session`.
        """
        await save(self)
        return self

    async def delete(self) -> bool:
        """Delete this record from its file; return whether it was there."""
        async with bound(type(self)) as store:
            return await store.delete(self.id)

    async def paths(self) -> RecordPaths:
        """Return the files that have this record, once it is saved. See `Store.paths_of`."""
        async with bound(type(self)) as store:
            return await store.paths_of(self.id)

    @classmethod
    async def get(cls, id: str) -> Self:
        """Return the record with this id. See `Store.get`."""
        async with bound(cls) as store:
            return await store.get(id)

    @classmethod
    async def find(
        cls,
        *filters: Filter,
        order_by: Field | Order | Sequence[Field | Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Self]:
        """Return the records that pass every filter. See `Store.find`."""
        async with bound(cls) as store:
            return await store.find(*filters, order_by=order_by, limit=limit, offset=offset)

    @classmethod
    async def stream(
        cls,
        *filters: Filter,
        order_by: Field | Order | Sequence[Field | Order] = (),
        limit: int | None = None,
    ) -> AsyncGenerator[Self, None]:
        """Yield the records that pass every filter, one after the other. See `Store.stream`."""
        async with (
            bound(cls) as store,
            aclosing(store.stream(*filters, order_by=order_by, limit=limit)) as records,
        ):
            async for record in records:
                yield record

    @classmethod
    async def count(cls, *filters: Filter) -> int:
        """Return how many records pass every filter."""
        async with bound(cls) as store:
            return await store.count(*filters)

    @classmethod
    async def get_recent(cls, limit: int = 10) -> list[Self]:
        """Return the newest records, newest first."""
        async with bound(cls) as store:
            return await store.get_recent(limit)

    @classmethod
    async def get_by_date_range(cls, start: datetime, end: datetime) -> list[Self]:
        """Return the records of `start <= created_at < end`, oldest first."""
        async with bound(cls) as store:
            return await store.get_by_date_range(start, end)

    @classmethod
    def odd_numbers(cls, content: Any) -> dict[str, str]:
        """Return the numbers of a content that cannot be right, each with the reason.

        A record that has any is marked with them in `node_metadata`.
        """
        return {}

    def stored(self) -> tuple[Any, dict[str, Any]]:
        """Return the values of the columns of content and of metadata, validated.

        The content has the declared fields, and the metadata the class's name, the content's
        version and marks.

        Raises:
            InvalidRecordError: They are not as the class declares them. The message names which.
        """
        form = stored_form(type(self))
        content = form.write_sound(self)
        is_sound = content is not None
        if not is_sound:
            content = form.write(self)
        metadata: dict[str, Any] = {"lion_class": self.lion_class()}
        if self.node_metadata:
            metadata |= self.node_metadata
            for mark in (UNREADABLE, ODD_NUMBERS):
                metadata.pop(mark, None)
        if self.content_version > 1:
            metadata[VERSION] = self.content_version
        if not is_sound and (odd := self.odd_numbers(content)):
            metadata[ODD_NUMBERS] = odd
        return content, metadata

    @classmethod
    def from_stored(
        cls,
        id: str,
        content: Any,
        node_metadata: Any,
        created_at: object,
        embedding: Any,
    ) -> Self:
        """Make a record of its row. A row of any age is read: one that does not fit is marked."""
        metadata = node_metadata if isinstance(node_metadata, dict) else {}
        instant = clock.from_column(created_at)
        if instant is None:
            metadata = metadata | {"unreadable_created_at": json.dumps(created_at, default=repr)}
            instant = clock.unreadable()
        vector = embedding if isinstance(embedding, list) else None
        columns = {"created_at": instant, "embedding": vector}
        record: Self = stored_form(cls).read(id, content, metadata, columns)
        return record


class Immutable(Node):
    """A record that never changes: of all that are saved under one id, the first stays.

    Its store ensures that: see `FixedStore`.
    """
