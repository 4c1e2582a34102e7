"""The numbered files of `sql/`, and the tables of the purposes."""

from importlib import resources
from typing import Any, Final

from khive_persist.errors import StoreUnavailableError
from khive_persist.models.purposes import Purpose
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.source import indexes, quoted

LATEST: Final = 1
# One process at a time makes what is missing.
_LOCK: Final = 7_316_044_091_521
_VERSION: Final = "khive.schema_version"
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS {table} (
    id text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    content jsonb,
    content_text text,
    node_metadata json,
    created_at timestamptz,
    created_at_text text,
    embedding json,
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (session, id)
)"""


async def migrate(database: Database, purposes: tuple[Purpose, ...]) -> None:
    """Make the functions, tables and indexes that are missing.

    Raises:
        StoreUnavailableError: The database is of a newer version of this program.
        StoreError: As its other subclasses say.
    """
    async with database.connection() as connection:
        existing = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", _VERSION)
        version = await _version(connection) if existing else 0
        if version == LATEST and await _has_tables(connection, purposes):
            return
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute("CREATE SCHEMA IF NOT EXISTS khive")
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_VERSION} (version integer NOT NULL)"
            )
            version = await _version(connection)
            if version > LATEST:
                raise StoreUnavailableError(
                    f"{database.name} is of a newer khive-persist", hint="update khive-persist"
                )
            for number in range(version + 1, LATEST + 1):
                await connection.execute(_text(number))
            await connection.execute(f"DELETE FROM {_VERSION}")
            await connection.execute(f"INSERT INTO {_VERSION} VALUES ($1)", LATEST)
            for purpose in purposes:
                await _make_table(connection, purpose)


async def _version(connection: Any) -> int:
    return int(await connection.fetchval(f"SELECT coalesce(max(version), 0) FROM {_VERSION}"))


async def _has_tables(connection: Any, purposes: tuple[Purpose, ...]) -> bool:
    sql = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest($1::text[]) AS name"
    return bool(await connection.fetchval(sql, [quoted(purpose.table) for purpose in purposes]))


async def _make_table(connection: Any, purpose: Purpose) -> None:
    table = quoted(purpose.table)
    await connection.execute(_TABLE.format(table=table))
    for name, columns in (("id", "id"), ("transaction", "written_by")):
        index = quoted(f"{purpose.table}_by_{name}")
        await connection.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {table} ({columns})")
    for statement in indexes(purpose, table):
        await connection.execute(statement)


def _text(number: int) -> str:
    folder = resources.files("khive_persist.store.postgres") / "sql"
    return (folder / f"{number:04}.sql").read_text()
