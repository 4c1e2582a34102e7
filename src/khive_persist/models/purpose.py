"""`Purpose`: the file and table of one kind of record, and the names that it may have."""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from khive_persist.errors import InvalidRecordError
from khive_persist.project import RESERVED_DATABASES

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


class Purpose(NamedTuple):
    """One file of one kind of record.

    Attributes:
        name: The file's stem and the purpose's name: `planner_sessions` is `planner_sessions.db`.
        table: The name of its table.
        view: A view with the indexed fields as plain columns, or an empty string for none.
        fields: The fields of `content` that the view shows, by dotted path.
        indexes: The indexes, each a tuple of dotted paths into `content`, in order; `created_at` is
            the column.
        document: The beginning of the names of its files in the mirror: `planner_session`.
        is_stream: Whether its mirror is a file a session, of a line a record, and not a file a
            record.
    """

    name: str
    table: str
    view: str = ""
    fields: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    document: str = ""
    is_stream: bool = False

    @property
    def file(self) -> str:
        """Return the file's name inside `.khive`."""
        return f"{self.name}.db"

    def column_names(self) -> dict[str, str]:
        """Return the name of each field as a column: dots are underscores.

        A path keeps its dots where another field has that name: `a.b` beside `a_b`.
        """
        plain = {path.lower() for path in self.fields if "." not in path}
        names: dict[str, str] = {}
        for path in self.fields:
            name = path.replace(".", "_")
            reserved = plain | {column.lower() for column in names.values()} if "." in path else ()
            names[path] = path if name.lower() in reserved else name
        return names

    def index_name(self, paths: Iterable[str]) -> str:
        """Return the name of the index over these paths."""
        return "_".join([self.table, *(path.replace(".", "_") for path in paths)])


def check(purpose: Purpose, others: Iterable[Purpose]) -> None:
    """Refuse a purpose whose names cannot stand in SQL or in a path, or that are not its own.

    Case makes no difference, as in SQLite and in the file systems of macOS.

    Args:
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
        is_index = name == purpose.name and f"{word}.db" in RESERVED_DATABASES
        if word in reserved_names or is_shadowing or is_index or _RESERVED.fullmatch(word):
            raise InvalidRecordError(
                f"{name!r} is a name of khive-persist or of SQLite", hint=_hint(purpose, name)
            )
    _check_distinct(purpose)
    for other in others:
        _check_documents(purpose, other)


def check_apart(purpose: Purpose, other: Purpose) -> None:
    """Refuse a purpose whose files are, but for the case of letters, those of another one.

    Raises:
        InvalidRecordError: They are.
    """
    if purpose.name != other.name and purpose.name.lower() == other.name.lower():
        raise InvalidRecordError(
            f"{purpose.name!r} differs from {other.name!r} only in the case of its letters",
            hint="they would be one file on macOS: name one of them otherwise",
        )
    _check_documents(purpose, other)


def _check_documents(purpose: Purpose, other: Purpose) -> None:
    mine, theirs = purpose.document, other.document
    if mine != theirs and mine.lower() == theirs.lower():
        raise InvalidRecordError(
            f"the document {mine!r} differs from {theirs!r} only in the case of its letters",
            hint="write it with the same letters, or name it otherwise",
        )


def _check_spelling(purpose: Purpose) -> None:
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


def _check_distinct(purpose: Purpose) -> None:
    names = [purpose.table.lower(), *(name.lower() for name in _index_names(purpose))]
    names += [purpose.view.lower()] if purpose.view else []
    for name in names:
        if names.count(name) > 1:
            raise InvalidRecordError(
                f"two of its table, view and indexes are named {name!r}",
                hint="SQLite tells no case apart: name one otherwise, or leave it out",
            )


def _index_names(purpose: Purpose) -> Iterator[str]:
    for paths in (*purpose.indexes, (_PRESENT,)):
        yield purpose.index_name(paths)


def _hint(purpose: Purpose, name: str) -> str:
    if name == purpose.name:
        return "name the kind otherwise; a subclass of a built-in record keeps its purpose"
    if name == purpose.table:
        return "name the table otherwise"
    return "name the view otherwise" if name == purpose.view else "leave that index out"


def _is(word: object, pattern: re.Pattern[str]) -> bool:
    # What comes from a JSON file need not be text.
    return isinstance(word, str) and pattern.match(word) is not None
