"""Run a person's own SQL over all files of a project, for reading only, from a program."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from khive_persist.capture.drain import drain
from khive_persist.project_search import existing_project
from khive_persist.store.sqlite.catalogue import Table, databases_in
from khive_persist.store.sqlite.readonly_query import AdHoc, tables_in
from khive_persist.threads import Advance, run_stoppable

Values = Sequence[Any] | Mapping[str, Any]


class QueryResult(NamedTuple):
    """The rows of a SELECT.

    Attributes:
        columns: The names of the columns, each once: a second `id` is `id_2`.
        rows: The rows, as tuples in the order of the columns.
    """

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows by the names of their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


async def query_sql(sql: str, values: Values = (), *, dir: Path | str | None = None) -> QueryResult:
    """Run a SELECT over all databases of a project. A statement that would write fails.

        sql = "SELECT count(*) AS number FROM plans WHERE complexity = ?"
        result = await query_sql(sql, ["complex"])
        result.dicts()      # [{"number": 12}]

    Tables and views have their names: planner_sessions, plans, events, conversation, your own;
    `claude_hooks.hook_events` names one of a file. The spool is brought in before.
    All rows are in memory on return; `Store.stream` reads many. A cancelled await stops the SQL.

    Args:
        sql: One statement.
        values: The values of its parameters: a sequence for `?`, a mapping for `:name`.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidQueryError: The SQL is wrong, or more than one statement, or would write; the values
            do not fit it; or it reads a table of a file that it does not name, and there are too
            many files.
        ProjectError: There is no project.
        StoreError: A file cannot be read.
    """
    project = existing_project(dir)

    def run(advance: Advance) -> QueryResult:
        drain(project)
        files = databases_in(project.khive)
        with closing(AdHoc(files, sql, lambda: advance(0))) as databases:
            if databases.unread:
                raise databases.unread[0]
            try:
                columns, rows = databases.run(sql, values)
                return QueryResult(columns, list(rows))
            except KeyboardInterrupt:
                # Not Ctrl-C, which no thread but the first gets: the statement was stopped.
                advance(0)
                raise

    return await run_stoppable(run)


async def list_tables(*, dir: Path | str | None = None) -> list[Table]:
    """List the tables and views that `query_sql` can read, with their columns.

    Those of all tools together come first, and then those of each file. What waits in the spool is
    brought in before, for it may make a file.

    Args:
        dir: The directory that holds `.khive`.

    Raises:
        ProjectError: There is no project.
        StoreError: A file cannot be read.
    """
    project = existing_project(dir)

    def run(_: Advance) -> list[Table]:
        drain(project)
        tables, unread = tables_in(databases_in(project.khive))
        if unread:
            raise unread[0]
        return tables

    return await run_stoppable(run)
