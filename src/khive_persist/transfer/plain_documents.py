"""Plain documents as records: what JSON, CSV and Markdown hold that no export wrote."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from khive_persist import clock
from khive_persist.errors import InvalidFileError, InvalidRecordError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose
from khive_persist.models.refusal import refusal
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

# What only a record that was exported has.
_MARKS: Final = frozenset({"content", "purpose", "dataModelVersion"})


class PlainRecords(NamedTuple):
    """The mapping of documents to records of one class: all of a document is the content.

    Attributes:
        record: The class, which validates them.
        purpose: The purpose of the records.
        id_field: The field that has the id; without it, the field `id`.
        created_at_field: The field that has the time; without it, `created_at`, or that of the
            class, or else `instant`.
        instant: The time of documents that have none.
    """

    record: type[Node]
    purpose: Purpose
    id_field: str | None = None
    created_at_field: str | None = None
    instant: datetime = clock.unreadable()

    def refuse_fields(self, source: object) -> None:
        """Refuse named fields for a source whose records all have their ids and times.

        Raises:
            InvalidFileError: One is named.
        """
        if self.has_named_fields:
            raise InvalidFileError(
                f"the records of {source} have ids and times",
                hint="--id and --created-at are for plain JSON, CSV and Markdown",
            )

    @property
    def has_named_fields(self) -> bool:
        """Return whether a field is named: then every document is plain."""
        return self.id_field is not None or self.created_at_field is not None

    def takes(self, document: Any) -> bool:
        """Return whether a document is plain, and not an exported record."""
        if not isinstance(document, Mapping) or self.has_named_fields:
            return isinstance(document, Mapping)
        return not (document.keys() & _MARKS or isinstance(document.get("text"), Mapping))

    def row(self, fields: Mapping[str, Any], name: str | None = None) -> tuple[StoredRow, Purpose]:
        """Convert a document to a row, and return it with its purpose.

        Args:
            fields: The document.
            name: The id where no field has one.

        Raises:
            InvalidRecordError: It has no id or no time where it should, or is none of the class.
        """
        id = fields.get(self.id_field or "id", None if self.id_field else name)
        if isinstance(id, int | float) and not isinstance(id, bool):
            id = codec.dump(id)
        if not isinstance(id, str) or not id:
            hint = f"{self.id_field!r} has none" if self.id_field else "--id FIELD names its field"
            raise InvalidRecordError("it has no id", hint=hint)
        values: dict[str, Any] = {"id": id, "content": dict(fields)}
        if (instant := self._instant(fields)) is not None:
            values["created_at"] = instant
        try:
            record = self.record.model_validate(values)
        except ValidationError as error:
            raise refusal(error) from error
        names_tool = isinstance(fields.get("tool"), str)
        purpose = record.purpose_of(record.content) if names_tool else self.purpose
        return codec.to_row(record), purpose

    def _instant(self, fields: Mapping[str, Any]) -> datetime | None:
        name = self.created_at_field or "created_at"
        if name in fields:
            instant = clock.from_column(fields[name])
            if instant is None or isinstance(fields[name], bool):
                raise InvalidRecordError(f"{name}: {str(fields[name])[:40]!r} is no time")
            return instant
        if self.created_at_field:
            raise InvalidRecordError(f"it has no {name}")
        time_field = getattr(self.record, "time_field", None)
        if issubclass(self.record, ApplicationSession):
            time_field = "started_at"
        has_time = time_field is not None and clock.from_column(fields.get(time_field)) is not None
        return None if has_time else self.instant
