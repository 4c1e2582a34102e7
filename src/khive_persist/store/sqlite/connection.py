"""Opening of database files: private, durable, and never through a link.

What cannot be opened or made raises a StoreError, as its subclasses say, and is as it was; what was
read as a file that nobody changes, and somebody did, a StoreBusyError.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote

from khive_persist import clock
from khive_persist.errors import (
    StoreBusyError,
    StoreDamagedError,
    StoreUnavailableError,
)
from khive_persist.models.purposes import Purpose
from khive_persist.project import PRIVATE_FILE
from khive_persist.store.sqlite import atomic_switch, forks, guard, migrations
from khive_persist.store.sqlite.errors import PRIMARY, translated
from khive_persist.store.sqlite.statements import scalar

# What is above the store names no driver.
Connection = sqlite3.Connection
VERSION: Final = sqlite3.sqlite_version

# A page holds whole rows: of events, of 2 to 3 KB each, five stand in 16 KiB, and two in 8 KiB with
# a third of the page left over. For the smaller rows of documents 8 KiB waste no more, and a new
# file of ten pages takes half; with 4 KiB to save many takes a third longer.
STREAM_PAGE_BYTES: Final = 16_384
DOCUMENT_PAGE_BYTES: Final = 8_192
DEFAULT_BUSY_TIMEOUT_SECONDS: Final = 30.0
# After SQLite's own 1,000 pages every other bulk commit would write most of the indexes back.
_CHECKPOINT_BYTES: Final = 16 << 20
# Ids that come in no order touch pages all over their index. The default holds 125 of them, and
# what it cannot hold is written and read again within a transaction.
_CACHE_KIBIBYTES: Final = 8_192
# SQLite takes a larger number for 0.
_LONGEST_BUSY_TIMEOUT_MILLISECONDS: Final = 2**31 - 1


def open_writer(
    path: Path,
    purpose: Purpose,
    busy_timeout_seconds: float = DEFAULT_BUSY_TIMEOUT_SECONDS,
    is_wanted: Callable[[], bool] = lambda: True,
) -> sqlite3.Connection:
    """Open a database for writing, made where it is missing, brought to the present schema.

    Whoever writes with it holds the lock of `lock.lock_path(path)` while a transaction is open.
    """
    refuse_link(path)
    with atomic_switch.in_turn(path, busy_timeout_seconds, is_wanted), translated(path):
        if not path.exists():
            _create(path)
        guard.refuse_foreign(path)
        _look_first(path, busy_timeout_seconds)
        connection = _connect(path, "rw")
        connection.text_factory = _as_text
        try:
            # First of all: the pragmas after it can meet a lock too.
            wait_for(connection, busy_timeout_seconds)
            connection.execute(f"PRAGMA trusted_schema = {_trusted_schema()}")
            migrations.refuse_newer(connection, path)
            guard.refuse_acting(connection, path)
            if _is_empty(connection):
                # Both can be set only before the first table.
                page_bytes = STREAM_PAGE_BYTES if purpose.is_stream else DOCUMENT_PAGE_BYTES
                connection.execute(f"PRAGMA page_size = {page_bytes}")
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            if scalar(connection, "PRAGMA journal_mode = WAL") != "wal":
                raise StoreUnavailableError(
                    f"{path}: this file system has no WAL", hint="keep .khive on a local disk"
                )
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
            # With NORMAL a commit survives a kill, but not a power loss.
            connection.execute("PRAGMA synchronous = FULL")
            page_bytes = scalar(connection, "PRAGMA page_size")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_BYTES // page_bytes}")
            migrations.migrate(connection, purpose)
        except BaseException:
            connection.close()
            raise
    return connection


def wait_for(connection: sqlite3.Connection, seconds: float) -> None:
    """Let a connection wait so long for who holds SQLite's own lock."""
    milliseconds = min(int(seconds * 1000), _LONGEST_BUSY_TIMEOUT_MILLISECONDS)
    connection.execute(f"PRAGMA busy_timeout = {milliseconds}")


def make(path: Path) -> None:
    """Make an empty database where there is none: it has an `identity` before it is opened."""
    refuse_link(path)
    if not path.exists():
        _create(path)


def open_reader(path: Path) -> sqlite3.Connection:
    """Open one database for reading only."""
    refuse_link(path)
    atomic_switch.settle(path.parent)
    _check_readable(path)
    with translated(path):
        connection = _connect(path, "ro")
        try:
            prepare_reader(connection)
            guard.refuse_acting(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def opened_reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Keep a file open as `open_reader` opens it, for the time of a `with`."""
    version = frozen_version(path)
    try:
        with closing(open_reader(path)) as connection:
            yield connection
    except StoreDamagedError:
        check_frozen({path: version})
        raise
    check_frozen({path: version})


def frozen_version(path: Path) -> tuple[int, int] | None:
    """Size and time of a file that is read as one that nobody changes; None for any other."""
    if _reading_mode(path) == "ro":
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def is_changed(versions: Mapping[Path, tuple[int, int] | None]) -> bool:
    """Return whether one of some files that nobody should have changed is another one now."""
    return any(v is not None and frozen_version(path) != v for path, v in versions.items())


def check_frozen(versions: Mapping[Path, tuple[int, int] | None]) -> None:
    """Refuse what was read of files that nobody should have changed, where somebody did."""
    if is_changed(versions):
        names = ", ".join(map(str, versions))
        raise StoreBusyError(f"{names}: changed while it was read", hint="try again")


# SQLite attaches no more to one connection: https://sqlite.org/limits.html#max_attached
MOST_ATTACHED: Final = 10


def open_memory() -> sqlite3.Connection:
    """Open a connection without a file, to attach the databases that are read together."""
    connection = sqlite3.connect(
        "file::memory:", uri=True, isolation_level=None, check_same_thread=False
    )
    prepare_reader(connection)
    return connection


def open_apart(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file that no other process has open, in a mode of SQLite's URIs; nothing is made."""
    connection = sqlite3.connect(_file_uri(path, mode), uri=True, isolation_level=None)
    prepare_reader(connection)
    return connection


def open_derived(path: Path, *, page_bytes: int = 0) -> sqlite3.Connection:
    """Open a file for writing that can be made anew from others, by who holds its lock.

    A commit survives a kill, and need not survive a power loss. What is deleted is overwritten.

    Args:
        page_bytes: The size of a page, of a file that is empty.
    """
    with translated(path):
        connection = _connect(path, "rw")
        try:
            wait_for(connection, DEFAULT_BUSY_TIMEOUT_SECONDS)
            # It calls nothing of its own.
            connection.execute("PRAGMA trusted_schema = OFF")
            if page_bytes:
                connection.execute(f"PRAGMA page_size = {page_bytes}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        except BaseException:
            connection.close()
            raise
    return connection


def data_version(connection: Connection, schema: str = "main") -> int:
    """Return a number that is another one after anybody else's commit.

    See https://sqlite.org/pragma.html#pragma_data_version.
    """
    return int(scalar(connection, f"PRAGMA {schema}.data_version"))


def prepare_reader(connection: sqlite3.Connection) -> None:
    """Set what every reading connection has."""
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute(f"PRAGMA trusted_schema = {_trusted_schema()}")
    connection.create_function("utc_text", 1, utc_text, deterministic=True)
    connection.text_factory = _as_text


def attach(connection: sqlite3.Connection, path: Path, name: str) -> None:
    """Attach a database for reading only."""
    refuse_link(path)
    atomic_switch.settle(path.parent)
    _check_readable(path)
    with translated(path):
        connection.execute(f"ATTACH ? AS {name}", (_uri(path, _reading_mode(path)),))
        connection.execute(f"SELECT count(*) FROM {name}.sqlite_schema").fetchone()
        guard.refuse_acting(connection, path, name)


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link in place of a database or of the folder that it lies in.

    Raises:
        StoreUnavailableError: There is one, or something else that is no file.
    """
    for checked in (path.parent, path):
        try:
            mode = os.lstat(checked).st_mode
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreUnavailableError(f"{checked}: {error.strerror}") from error
        if stat.S_ISLNK(mode):
            raise StoreUnavailableError(
                f"{checked} is a symbolic link", hint="put the file itself there"
            )
        if checked == path and not stat.S_ISREG(mode):
            raise StoreUnavailableError(f"{checked} is not a file", hint="move it away")


def check(path: Path) -> None:
    """Read all of a database file, and raise what is wrong with it.

    The file is not opened otherwise than through SQLite: closing a descriptor of it would drop the
    locks that other connections of this process hold.

    Raises:
        StoreDamagedError: Its content is damaged.
        StoreError: It cannot be read for another reason, as a newer one.
    """
    with opened_reader(path) as connection:
        with translated(path):
            fault = fault_of(connection, "quick_check(3)")
        migrations.refuse_newer(connection, path)
    if fault:
        raise StoreDamagedError(f"{path}: {fault}")


def fault_of(connection: Connection, check: str) -> str:
    """Return what a check of SQLite's finds, in one line; an empty string for nothing."""
    faults = [row[0] for row in connection.execute(f"PRAGMA {check}")]
    return "" if faults == ["ok"] else "; ".join(" ".join(faults).splitlines()[:3])


def set_aside(path: Path, quarantine: Path) -> Path:
    """Move a database and its sidecars into a new folder of the quarantine; that folder."""
    with atomic_switch.in_turn(path, DEFAULT_BUSY_TIMEOUT_SECONDS):
        return move_aside(path, quarantine)


def move_aside(path: Path, quarantine: Path) -> Path:
    """Move a database as `set_aside` does, by who holds its lock."""
    folder = quarantine / f"{path.name}.{clock.new_id()}"
    folder.mkdir(mode=0o700)
    for suffix in ("-wal", "-shm", "-journal", ""):
        sidecar = path.with_name(path.name + suffix)
        if os.path.lexists(sidecar):
            os.rename(sidecar, folder / sidecar.name)
    return folder


@cache
def _trusted_schema() -> str:
    # OFF, so that a view or a trigger of somebody else's file can call nothing with side effects.
    # SQLite 3.40 and before count json_extract as such, and would refuse our own indexes.
    probe = sqlite3.connect(":memory:")
    try:
        probe.execute("PRAGMA trusted_schema = OFF")
        probe.execute("CREATE TABLE probe (content)")
        probe.execute("CREATE INDEX probed ON probe (json_extract(content, '$.a'))")
    except sqlite3.OperationalError:
        return "ON"
    finally:
        probe.close()
    return "OFF"


def identity(path: Path) -> tuple[int, int] | None:
    """Return which file lies at a path, another where it was replaced; None where there is none.

    Nor is there one while a switch of the folder's databases is pending: who opens it finishes it.
    """
    if atomic_switch.is_pending(path.parent):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _as_text(raw: bytes) -> str:
    # JSON may hold a lone surrogate as an escape; what json_extract makes of it is no UTF-8. Nor is
    # every text in an old file.
    return raw.decode("utf-8", "replace")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = _uri(path, mode if mode == "rw" else _reading_mode(path))
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _reading_mode(path: Path) -> str:
    # A reader of a WAL file needs its index beside it. Where that cannot be made, and no WAL is
    # there to be missed, the file can be read as one that nobody changes.
    if os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-shm").exists():
        return "ro"
    return "ro" if _has_log(path) else "ro&immutable=1"


def _has_log(path: Path) -> bool:
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except OSError:
        return False


def _check_readable(path: Path) -> None:
    """Refuse a file whose WAL cannot be read, with the way out."""
    is_fixed = not os.access(path.parent, os.W_OK)
    if is_fixed and _has_log(path) and not path.with_name(f"{path.name}-shm").exists():
        raise StoreUnavailableError(
            f"{path}: its log {path.name}-wal cannot be read where nobody can write",
            hint="copy both to another folder",
        )


def _uri(path: Path, mode: str) -> str:
    forks.refuse_inherited(path)
    return _file_uri(path, mode)


def _file_uri(path: Path, mode: str) -> str:
    return f"file:{quote(os.fsencode(path))}?mode={mode}"


def _look_first(path: Path, busy_timeout_seconds: float) -> None:
    """Refuse a damaged or a newer file through a connection that cannot write.

    One that can would write the WAL back into the file when it closes.
    """
    connection = _connect(path, "ro")
    try:
        wait_for(connection, busy_timeout_seconds)
        migrations.refuse_newer(connection, path)
        _is_empty(connection)
    except sqlite3.OperationalError as error:
        # A journal that a crash left is rolled back by who can write.
        if error.sqlite_errorcode & PRIMARY not in {
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
        }:
            raise
    finally:
        connection.close()


def _create(path: Path) -> None:
    # Never open a file that SQLite may have open in this process: so the descriptor that makes it
    # private is closed before the file gets its name.
    temporary = path.with_name(f".{path.name}.{clock.new_id()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        os.fchmod(descriptor, PRIVATE_FILE)
        os.close(descriptor)
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be made ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(scalar(connection, "SELECT count(*) = 0 FROM sqlite_schema"))


def utc_text(value: object) -> str | None:
    """Return a `created_at` of any age as UTC text that sorts; None where it cannot be read."""
    instant = clock.from_column(value)
    return None if instant is None else clock.to_text(instant)
