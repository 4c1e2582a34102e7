"""`Database`: the connections of this process to one database, and their errors as ours."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg

from khive_persist.errors import (
    InvalidQueryError,
    InvalidRecordError,
    KhiveError,
    StoreBusyError,
    StoreClosedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from khive_persist.store import codec

Result = TypeVar("Result")

# It tells of a server that is away with a stack; who asks is told by an error.
logging.getLogger("asyncpg").addHandler(logging.NullHandler())

_CONNECTIONS: Final = 8
# https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/jsonb.c: jsonb_send
_JSONB_VERSION: Final = b"\x01"
_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.05
# A transaction that met another one, or a server that goes down or comes up: nothing was done.
_AGAIN: Final = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.UniqueViolationError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.ConnectionFailureError,
    asyncpg.InterfaceError,
    OSError,
)
_ERRORS: Final[tuple[tuple[type[BaseException], type[KhiveError], str], ...]] = (
    (asyncpg.QueryCanceledError, StoreBusyError, "it took longer than its limit; try again"),
    (asyncpg.LockNotAvailableError, StoreBusyError, "another program holds its lock; try again"),
    (asyncpg.DiskFullError, StoreFullError, "free some space"),
    (asyncpg.InsufficientPrivilegeError, StoreUnavailableError, "give the role this right"),
    (asyncpg.ReadOnlySQLTransactionError, StoreUnavailableError, "name the primary server"),
    (asyncpg.InvalidAuthorizationSpecificationError, StoreUnavailableError, "check the role"),
    (asyncpg.InvalidCatalogNameError, StoreUnavailableError, "make the database"),
    (asyncpg.DataError, InvalidRecordError, ""),
    (asyncpg.ProgramLimitExceededError, InvalidRecordError, ""),
    (asyncpg.IntegrityConstraintViolationError, InvalidRecordError, ""),
    (asyncpg.SyntaxOrAccessError, InvalidQueryError, ""),
    (asyncpg.PostgresError, StoreError, ""),
    (asyncpg.InterfaceError, StoreUnavailableError, "check that the server runs"),
    (OSError, StoreUnavailableError, "check that the server runs"),
    (asyncio.TimeoutError, StoreUnavailableError, "check that the server runs"),
)


class Database:
    """The connections to one database: at most eight, opened as they are needed.

    They are those of the event loop in which it was opened.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float,
        *,
        read_only: bool = False,
        work_megabytes: int | None = None,
    ) -> None:
        """Prepare to connect.

        Args:
            url: `postgresql://…`, as libpq takes it.
            timeout_seconds: The longest time of a statement, and of a wait for a connection.
            read_only: Whether the server refuses to write.
            work_megabytes: The memory of a sort or of a grouping before it goes on on the disk;
                None for what the server says.
        """
        self.name = _without_password(url)
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._read_only = "on" if read_only else "off"
        self._memory = {} if work_megabytes is None else {"work_mem": f"{work_megabytes}MB"}
        self._pool: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreError: As its subclasses say: no server answers, or it refuses.
        """
        async with self._opening:
            self._users += 1
            if self._pool is None:
                self._loop = asyncio.get_running_loop()
                self._pool = await self.attempt(self._connect)

    async def close(self) -> None:
        """Close the connections, once all who opened it have."""
        self._users -= 1
        if self._users <= 0 and self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Lend a connection; the errors of what is done with it are ours."""
        if self._pool is None:
            raise StoreClosedError(f"{self.name} is not open", hint="open the store again")
        if self._loop is not asyncio.get_running_loop():
            raise StoreClosedError(
                f"{self.name} was opened in another event loop", hint="open a store in this one"
            )
        with translated(self.name):
            async with self._pool.acquire(timeout=self._timeout_seconds) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self, start: str) -> AsyncIterator[Any]:
        """Lend a connection for one transaction: committed at the end, or not at all.

        Args:
            start: The statements that it begins with, without parameters.
        """
        async with self.connection() as connection:
            # One message to the server, where a transaction of asyncpg's own takes one more.
            await connection.execute(f"BEGIN; {start}")
            try:
                yield connection
                await connection.execute("COMMIT")
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise

    async def attempt(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do what changes nothing where it fails; again where another transaction was in its way.

        The same where the connection was lost: what was done by then is done again, under its id.

        Raises:
            StoreError: As its subclasses say, after six attempts.
        """
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(_ATTEMPTS):
            try:
                return await work()
            except KhiveError as error:
                if attempt == _ATTEMPTS - 1 or not isinstance(error.__cause__, _AGAIN):
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause *= 2
        raise AssertionError

    async def _connect(self) -> Any:
        milliseconds = str(int(self._timeout_seconds * 1000))
        with translated(self.name):
            return await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=_CONNECTIONS,
                timeout=self._timeout_seconds,
                init=_read_json,
                reset=_keep,
                server_settings={
                    "statement_timeout": milliseconds,
                    "idle_in_transaction_session_timeout": milliseconds,
                    "default_transaction_read_only": self._read_only,
                    "application_name": "khive-persist",
                    **self._memory,
                },
            )


async def _keep(_: Any) -> None:
    """Give a connection back as it is, for asyncpg ends a transaction that is open.

    What we set or lock ends with its transaction: a statement that resets the rest has nothing to
    do, and each use of a connection would wait for it.
    """


async def _read_json(connection: Any) -> None:
    """Let JSON be a value where it is read, and its text where it is written."""
    for name, version in (("json", b""), ("jsonb", _JSONB_VERSION)):
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            format="binary",
            encoder=partial(_encoded, version),
            decoder=partial(_decoded, len(version)),
        )


def _encoded(version: bytes, text: str) -> bytes:
    return version + text.encode()


def _decoded(start: int, content: bytes) -> Any:
    return codec.load(bytes(content[start:]))


class translated:  # noqa: N801 - called as a function
    """Raise the errors of PostgreSQL as ours."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or isinstance(error, KhiveError):
            return
        for theirs, ours, hint in _ERRORS:
            if isinstance(error, theirs):
                line = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ours(f"{self._name}: {line}", hint=hint) from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
