"""Entries of a source, and the checks that their rows pass before they are stored."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from khive_persist.errors import InvalidRecordError
from khive_persist.models.columns import MAX_ID_CHARACTERS
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.purposes import PLANNER_SESSIONS, Purpose
from khive_persist.models.records import RECORDS
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.columns import Kind

JSON_COLUMNS: Final = ("content", "node_metadata", "embedding")
# By the name of the class: what such a record says of itself where it does not name its file.
_KINDS: Final = {record.__name__: kind for record in RECORDS for kind in record.purposes()}


class SourceEntry(NamedTuple):
    """One entry of a source: a row, or what stands in its stead.

    Attributes:
        location: The location in the source, for a person: `line 3`.
        raw: The text there, to keep if it cannot be stored.
        row: The row, or None where there is none to be read.
        reason: The reason why there is no row.
        purpose: The stated purpose, or its name; None where none is stated.
        cells: The cells of columns of its fields, which may have been edited.
        values: The same of a format that has types: the type and the value of each.
    """

    location: str
    raw: Any
    row: StoredRow | None = None
    reason: str = ""
    purpose: Purpose | str | None = None
    cells: Mapping[str, str] = MappingProxyType({})
    values: Mapping[str, tuple[Kind, Any]] = MappingProxyType({})


def entry_of(
    location: str, raw: Any, read: Callable[[], tuple[StoredRow, Purpose | str | None]]
) -> SourceEntry:
    """Return the entry of the row and the purpose that are read, or of the reason why not."""
    try:
        row, purpose = read()
    except InvalidRecordError as error:
        return SourceEntry(location, raw, reason=str(error))
    return SourceEntry(location, raw, row, purpose=purpose)


def checked(row: StoredRow) -> StoredRow:
    """Return the row after checking that every program that reads the table can read it.

    Raises:
        InvalidRecordError: Its id is no id; a column is no JSON or too deep for SQLite; text is no
            Unicode; `created_at` is neither text nor a number.
    """
    id, _, _, created_at, _ = row
    if not isinstance(id, str) or not 0 < len(id) <= MAX_ID_CHARACTERS or "\0" in id:
        raise InvalidRecordError(f"an id has 1 to {MAX_ID_CHARACTERS} characters and no NUL")
    if isinstance(created_at, bool) or not isinstance(created_at, str | int | float | None):
        raise InvalidRecordError("created_at is neither text nor a number")
    _check_unicode("id", id)
    _check_unicode("created_at", created_at)
    for name, text in zip(JSON_COLUMNS, (row[1], row[2], row[4]), strict=True):
        if text is None:
            continue
        if not isinstance(text, str):
            raise InvalidRecordError(f"{name} is not text")
        _check_unicode(name, text)
        try:
            codec.load(text)
        except ValueError as error:
            raise InvalidRecordError(f"{name} is no JSON ({error})") from error
        if codec.depth(text) > codec.MAX_DEPTH:
            raise InvalidRecordError(f"{name} is nested deeper than {codec.MAX_DEPTH} levels")
    return row


def purpose_of(
    row: StoredRow, purposes_by_name: Mapping[str, Purpose], stated: Purpose | str | None
) -> Purpose:
    """Return the purpose of a row: the stated one, else that of its class or content.

    Raises:
        InvalidRecordError: It cannot be told, or the name is not known here.
    """
    if isinstance(stated, Purpose):
        # A file tells name and table; its class, or a definition, tells more.
        return purposes_by_name.get(stated.name, stated)
    if stated is not None:
        if stated not in purposes_by_name:
            raise InvalidRecordError(f"the purpose {stated!r} is not known here")
        return purposes_by_name[stated]
    metadata, content = codec.column(row[2]), codec.column(row[1])
    lion_class = metadata.get("lion_class") if isinstance(metadata, dict) else None
    kind = str(lion_class).rpartition(".")[2]
    if isinstance(content, dict):
        if kind == "HookEvent" or "event_type" in content:
            return HookEvent.purpose_of(content)
        if kind == "PlannerSession" or "task_description" in content:
            return PLANNER_SESSIONS
        if kind in _KINDS:
            return _KINDS[kind]
    raise InvalidRecordError("it does not say what it is", hint="name it with --purpose")


def _check_unicode(name: str, value: object) -> None:
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRecordError(f"{name} is no UTF-8 text") from error
