"""The numbered files of `sql/`, and the tables of the purposes."""

from importlib import resources
from typing import Any, Final

from khive_persist.errors import StoreUnavailableError
from khive_persist.models.purposes import Purpose
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.source import indexes, quoted

LATEST: Final = 1
# Of the tables of a team, which a database may have beside those of a store, or alone.
LATEST_OF_TEAM: Final = 3
# One process at a time makes what is missing.
_LOCK: Final = 7_316_044_091_521
_VERSION: Final = "khive.schema_version"
_TEAM_VERSION: Final = "khive.team_schema_version"
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
        version = await _version(connection, _VERSION)
        if version == LATEST and await _has_tables(connection, purposes):
            return
        async with connection.transaction():
            await _renew(connection, database, _VERSION, LATEST, "")
            for purpose in purposes:
                await _make_table(connection, purpose)


async def migrate_team(database: Database) -> None:
    """Make the tables of a team that are missing.

    Raises:
        StoreUnavailableError: The database is of a newer version of this program.
        StoreError: As its other subclasses say.
    """
    async with database.connection() as connection:
        if await _version(connection, _TEAM_VERSION) == LATEST_OF_TEAM:
            return
        async with connection.transaction():
            await _renew(connection, database, _TEAM_VERSION, LATEST_OF_TEAM, "team_")


async def _renew(
    connection: Any, database: Database, version_table: str, latest: int, prefix: str
) -> None:
    """Run the numbered files that were not run yet; no other process does in between."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    await connection.execute("CREATE SCHEMA IF NOT EXISTS khive")
    await connection.execute(
        f"CREATE TABLE IF NOT EXISTS {version_table} (version integer NOT NULL)"
    )
    version = await _version(connection, version_table)
    if version > latest:
        raise StoreUnavailableError(
            f"{database.name} is of a newer khive-persist", hint="update khive-persist"
        )
    for number in range(version + 1, latest + 1):
        await connection.execute(_text(f"{prefix}{number:04}"))
    await connection.execute(f"DELETE FROM {version_table}")
    await connection.execute(f"INSERT INTO {version_table} VALUES ($1)", latest)


async def _version(connection: Any, table: str) -> int:
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        return 0
    return int(await connection.fetchval(f"SELECT coalesce(max(version), 0) FROM {table}"))


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


def _text(name: str) -> str:
    folder = resources.files("khive_persist.store.postgres") / "sql"
    return (folder / f"{name}.sql").read_text()
