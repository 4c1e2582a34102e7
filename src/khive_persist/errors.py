"""The errors, one class a cause.

KhiveError
├── InvalidRecordError (ValueError)      a record that cannot be stored as it is
├── InvalidQueryError (ValueError)       a filter, path, order, limit or SQL text that is wrong
├── InvalidSettingsError (ValueError)    config.toml, or a tool's settings file, that cannot be read
├── InvalidFileError (ValueError)        a named file that is not what it should be
├── MissingExtraError (ImportError)      a package that only some commands need is not installed
├── NotFoundError (LookupError)          nothing, or more than one thing, has this id
├── ConflictError (RuntimeError)         what is there is not what a change was made for
│   ├── CompletedError                   a session that is completed takes no more
│   └── VersionError                     it has another version by now
├── ProjectError (OSError)                 no .khive, or one that may not be used
│   └── UntrustedError                   a .khive that this user has not trusted, or does not own
├── CaptureError (OSError)               an event that could not be put into the spool
├── EmissionError (OSError)              a replay whose target takes nothing at all
├── DestinationError (OSError)           a team's store that has not taken what was sent
├── MirrorError (OSError)                a second copy that could not be written or read
├── BackupError (RuntimeError)           a backup that could not be made, read or restored
│   └── BackupDamagedError               its bytes are not those that were written
└── StoreError (RuntimeError)            a database that did not do as it was asked
    ├── AmbiguousStoreError              several open stores could be meant by a record's own call
    ├── StoreBusyError (TimeoutError)    another program held its lock for too long
    ├── StoreClosedError                 the store was used outside its `async with`
    ├── StoreDamagedError                the bytes are not a sound SQLite file
    ├── StoreFullError (OSError)         no room is left on the disk
    ├── StoreNewerError                  written by a newer khive-persist
    └── StoreUnavailableError (OSError)  missing, read-only, a link, or an I/O error
"""

from collections.abc import Iterator
from contextlib import contextmanager


class KhiveError(Exception):
    """Base of every error of this library.

    Attributes:
        code: A stable lower-case word for programs.
        hint: The remedy, one line, or an empty string.
    """

    code = "error"

    def __init_subclass__(cls, *, code: str = "") -> None:
        super().__init_subclass__()
        cls.code = code or cls.code

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}: {self.hint}" if self.hint else message


class InvalidRecordError(KhiveError, ValueError, code="invalid_record"):
    """A record cannot be stored as it is: a field is missing, of the wrong type, or not JSON."""


class InvalidQueryError(KhiveError, ValueError, code="invalid_query"):
    """A filter, path, order, limit or SQL text is wrong; nothing was run."""


class InvalidSettingsError(KhiveError, ValueError, code="invalid_settings"):
    """A settings file is not valid; it was left as it is."""


class InvalidFileError(KhiveError, ValueError, code="invalid_file"):
    """A file that was named is not of the form that is asked for, or must not be written over."""


class MissingExtraError(KhiveError, ImportError, code="missing_extra"):
    """A package that only some commands need is not installed; the hint says how to get it."""


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import packages of an extra within; where one is missing, say how to install it.

    Args:
        name: The extra's.
        purpose: The use of the packages: a noun, the subject of the error's sentence.

    Raises:
        MissingExtraError: One is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {error.name}", hint=f"pip install 'khive-persist[{name}]'"
        ) from error


class NotFoundError(KhiveError, LookupError, code="not_found"):
    """Nothing has the id that was asked for, or more than one thing begins with it."""


class ConflictError(KhiveError, RuntimeError, code="conflict"):
    """A record is there under this id, and is not what a change was made for; it stays as it is.

    Attributes:
        version: The version of the record, or None where it has none.
    """

    def __init__(self, message: str, *, hint: str = "", version: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.version = version


class CompletedError(ConflictError, code="completed"):
    """The session is completed; it takes no more unless it is made active again."""


class VersionError(ConflictError, code="version"):
    """The record has another version than the one that the change was made for."""


class ProjectError(KhiveError, OSError, code="place"):
    """There is no `.khive` here, or it is a link, a file, or not accessible."""


class UntrustedError(ProjectError, code="untrusted"):
    """A `.khive` is not marked as this user's, or is another's; nothing of it is obeyed."""


class CaptureError(KhiveError, OSError, code="capture"):
    """An event could be put into no spool: it is not kept."""


class EmissionError(KhiveError, OSError, code="emission"):
    """A replayed payload cannot be sent: the command does not start, or the server is not there."""


class DestinationError(KhiveError, OSError, code="destination"):
    """A team's store has not said that it has what was sent; it is sent again, and stays here."""


class BackupError(KhiveError, RuntimeError, code="backup"):
    """A backup could not be made, read or restored; what was there before is as it was."""


class BackupDamagedError(BackupError, code="backup_damaged"):
    """A backup's bytes are not those that were written, or say what no backup says."""


class MirrorError(KhiveError, OSError, code="mirror"):
    """A second copy could not be written or read; the database has what was saved."""


class StoreError(KhiveError, RuntimeError, code="store"):
    """A database did not do as it was asked; what was not acknowledged is not saved."""


class AmbiguousStoreError(StoreError, code="ambiguous_store"):
    """Several open stores could be meant by a record's own call; nothing was done."""


class StoreBusyError(StoreError, TimeoutError, code="store_busy"):
    """Another program held the database's lock for longer than `store.busy_timeout_seconds`."""


class StoreClosedError(StoreError, code="store_closed"):
    """A store was used before it was opened or after it was closed."""


class StoreDamagedError(StoreError, code="store_damaged"):
    """The file is not a sound SQLite database; its bytes were left as they are."""


class StoreFullError(StoreError, OSError, code="store_full"):
    """No room is left on the disk; the transaction was rolled back."""


class StoreNewerError(StoreError, code="store_newer"):
    """The file was written by a newer khive-persist; it is not written to."""


class StoreUnavailableError(StoreError, OSError, code="store_unavailable"):
    """The file is missing, read-only, a symbolic link, or the disk gave an I/O error."""
