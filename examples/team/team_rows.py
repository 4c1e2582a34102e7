"""What a team's PostgreSQL has: read while it is killed and comes back, too."""

import time
from collections.abc import Callable
from typing import Any

import anyio
import asyncpg

from khive_persist.team.team_record import TeamRecord

_SECONDS = 180.0
_PAUSE_SECONDS = 0.05
# A rough number is told without reading the rows.
_COUNT = "SELECT count(*) FROM khive.team_records"
_SUMS = """SELECT tool, count(DISTINCT session), sum(events)::bigint, sum(calls)::bigint,
    sum(failures)::bigint FROM khive.team_session_hours GROUP BY tool ORDER BY tool"""


class TeamRows:
    """The rows of a team's database."""

    def __init__(self, url: str) -> None:
        """Note the address."""
        self._url = url

    def wait_for(self, count: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait until there are so many rows, or something else is over."""
        end = time.monotonic() + _SECONDS
        while not is_over():
            try:
                if self._fetch(_COUNT)[0][0] >= count:
                    return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # It is away, or has no tables yet.
                pass
            if time.monotonic() > end:
                raise SystemExit(f"there are fewer than {count} records after {_SECONDS:g} s")
            time.sleep(_PAUSE_SECONDS)

    def records(self, machine: str) -> list[TeamRecord]:
        """Return the records of a machine."""
        names = "person, machine, project, purpose, session, id, version, form"
        time_text = "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        sql = f"SELECT {names}, {time_text}, content_text FROM khive.team_records"
        return [TeamRecord(*row) for row in self._fetch(f"{sql} WHERE machine = $1", machine)]

    def sums(self) -> list[tuple[Any, ...]]:
        """Return sessions, events, calls and failures by tool, of the sums by the hour."""
        return self._fetch(_SUMS)

    def _fetch(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        async def fetch() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self._url)
            try:
                return [tuple(row) for row in await connection.fetch(sql, *values)]
            finally:
                await connection.close()

        return anyio.run(fetch)
