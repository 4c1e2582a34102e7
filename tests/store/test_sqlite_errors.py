"""SQLite's errors as ours: by their codes, extended ones too, never by their text."""

import sqlite3

import pytest

from khive_persist.errors import (
    InvalidQueryError,
    InvalidRecordError,
    KhiveError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from khive_persist.store.sqlite.errors import translate, translated
from tests.cases import for_each

BY_NAME: dict[str, type[KhiveError]] = {
    "SQLITE_ERROR": InvalidQueryError,
    "SQLITE_AUTH": InvalidQueryError,
    "SQLITE_BUSY": StoreBusyError,
    "SQLITE_LOCKED": StoreBusyError,
    "SQLITE_PROTOCOL": StoreBusyError,
    "SQLITE_READONLY": StoreUnavailableError,
    "SQLITE_CANTOPEN": StoreUnavailableError,
    "SQLITE_PERM": StoreUnavailableError,
    "SQLITE_IOERR": StoreUnavailableError,
    "SQLITE_FULL": StoreFullError,
    "SQLITE_CORRUPT": StoreDamagedError,
    "SQLITE_NOTADB": StoreDamagedError,
    "SQLITE_TOOBIG": InvalidRecordError,
    "SQLITE_CONSTRAINT": InvalidRecordError,
    "SQLITE_MISMATCH": InvalidRecordError,
    # Of these nothing is known, and nothing is claimed.
    "SQLITE_INTERNAL": StoreError,
    "SQLITE_INTERRUPT": StoreError,
    "SQLITE_MISUSE": StoreError,
}
EXTENDED = sorted(
    name
    for name in dir(sqlite3)
    if any(name.startswith(f"{primary}_") for primary in BY_NAME)
    and isinstance(getattr(sqlite3, name), int)
)


def error_of(code: int, text: str = "whatever the text says") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("name", BY_NAME)
def test_a_primary_code_has_its_error(name: str) -> None:
    found = translate(error_of(getattr(sqlite3, name)), "/x/plans.db")
    assert type(found) is BY_NAME[name]
    assert str(found).startswith("/x/plans.db: whatever the text says")


@for_each("name", EXTENDED)
def test_an_extended_code_has_the_error_of_its_primary_code(name: str) -> None:
    primary = max((one for one in BY_NAME if name.startswith(f"{one}_")), key=len)
    assert type(translate(error_of(getattr(sqlite3, name)), "x")) is BY_NAME[primary]


@pytest.mark.parametrize("text", ["database is locked", "database disk image is malformed", ""])
def test_the_text_decides_nothing(text: str) -> None:
    assert type(translate(error_of(sqlite3.SQLITE_FULL, text), "x")) is StoreFullError


def test_the_cause_is_kept() -> None:
    error = error_of(sqlite3.SQLITE_BUSY)
    with pytest.raises(StoreBusyError) as raised, translated("x"):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("value", [2**63, "\ud800"])
def test_what_the_driver_itself_refuses_is_a_record_that_cannot_be_stored(value: object) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(InvalidRecordError), translated("x"):
        connection.execute("SELECT ?", (value,))
    connection.close()


def test_real_errors_are_told_apart() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x NOT NULL)")
    with pytest.raises(InvalidQueryError, match="syntax error"), translated("x"):
        connection.execute("SELEC")
    with pytest.raises(InvalidRecordError, match="NOT NULL"), translated("x"):
        connection.execute("INSERT INTO t VALUES (NULL)")
    connection.close()
