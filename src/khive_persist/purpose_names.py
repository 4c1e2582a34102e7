"""Check the names that a purpose may have. Standard library only."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from khive_persist.errors import InvalidRecordError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")

# SQLite's own; ours beside the records; and `khive_` for what is to come.
_RESERVED: Final = re.compile(r"sqlite_.*|change_log|change_log_.*|khive_.*")
# Functions that are read as tables, and would be hidden by one of their name; and the schemas that
# every connection has.
_SHADOWING: Final = re.compile(
    r"pragma_.*|json_each|json_tree|dbstat|bytecode|tables_used|main|temp"
)
# Every table has an index of that name already.
_PRESENT: Final = "odd_created_at"


class Named(Protocol):
    """The names of a purpose. See `purposes.Purpose`."""

    @property
    def name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def view(self) -> str: ...
    @property
    def fields(self) -> tuple[str, ...]: ...
    @property
    def indexes(self) -> tuple[tuple[str, ...], ...]: ...
    @property
    def document(self) -> str: ...
    def index_name(self, paths: Iterable[str]) -> str: ...


def check(purpose: Named, others: Iterable[Named]) -> None:
    """Refuse a purpose whose names cannot stand in SQL or in a path, or that are not its own.

    Case makes no difference, as in SQLite and in the file systems of macOS.

    Args:
        purpose: The purpose with the names.
        others: The built-in purposes.

    Raises:
        InvalidRecordError: A name is refused; the message names it and says why.
    """
    _check_spelling(purpose)
    others = tuple(others)
    reserved_names = {
        name.lower() for other in others for name in (other.name, other.table, other.view)
    }
    relations = (purpose.name, purpose.table, purpose.view)
    for name in (*relations, *_index_names(purpose)):
        word = name.lower()
        is_shadowing = name in relations and _SHADOWING.fullmatch(word)
        if word in reserved_names or is_shadowing or _RESERVED.fullmatch(word):
            raise InvalidRecordError(
                f"{name!r} is a name of khive-persist or of SQLite", hint=_hint(purpose, name)
            )
    _check_distinct(purpose)
    for other in others:
        check_documents(purpose, other)


def check_apart(purpose: Named, other: Named) -> None:
    """Refuse a purpose whose files are, but for the case of letters, those of another one.

    Raises:
        InvalidRecordError: They are.
    """
    if purpose.name != other.name and purpose.name.lower() == other.name.lower():
        raise InvalidRecordError(
            f"{purpose.name!r} differs from {other.name!r} only in the case of its letters",
            hint="they would be one file on macOS: name one of them otherwise",
        )
    check_documents(purpose, other)


def check_documents(purpose: Named, other: Named) -> None:
    """Refuse a purpose whose names in the mirror are, but for case, those of another one.

    Raises:
        InvalidRecordError: They are.
    """
    mine, theirs = purpose.document, other.document
    if mine != theirs and mine.lower() == theirs.lower():
        raise InvalidRecordError(
            f"the document {mine!r} differs from {theirs!r} only in the case of its letters",
            hint="write it with the same letters, or name it otherwise",
        )


def _check_spelling(purpose: Named) -> None:
    words = [purpose.name, purpose.table, purpose.document, *filter(None, [purpose.view])]
    paths = [*purpose.fields, *(path for index in purpose.indexes for path in index)]
    wrong = [word for word in words if not _is(word, _NAME)]
    wrong += [path for path in paths if not _is(path, _PATH)]
    if wrong:
        raise InvalidRecordError(
            f"{wrong[0]!r} cannot name a file, a table or a field",
            hint="use ASCII letters, digits and underscores, at most 63",
        )
    if not all(purpose.indexes):
        raise InvalidRecordError("an index is over no field", hint="leave it out")


def _check_distinct(purpose: Named) -> None:
    names = [purpose.table.lower(), *(name.lower() for name in _index_names(purpose))]
    names += [purpose.view.lower()] if purpose.view else []
    for name in names:
        if names.count(name) > 1:
            raise InvalidRecordError(
                f"two of its table, view and indexes are named {name!r}",
                hint="SQLite tells no case apart: name one otherwise, or leave it out",
            )


def _index_names(purpose: Named) -> Iterator[str]:
    for paths in (*purpose.indexes, (_PRESENT,)):
        yield purpose.index_name(paths)


def _hint(purpose: Named, name: str) -> str:
    if name == purpose.name:
        return "name the kind otherwise; a subclass of a built-in record keeps its purpose"
    if name == purpose.table:
        return "name the table otherwise"
    return "name the view otherwise" if name == purpose.view else "leave that index out"


def _is(word: object, pattern: re.Pattern[str]) -> bool:
    # What comes from a JSON file need not be text.
    return isinstance(word, str) and pattern.match(word) is not None
