"""`khive-persist query`."""

import click

from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_place, with_output, with_place
from khive_persist.cli.output import Documents, print_table
from khive_persist.store.sqlite.adhoc import AdHoc, to_cells, to_document


@click.command("query")
@click.argument("sql")
@with_place
@with_output
@click.pass_context
def command(context: click.Context, sql: str, directory: str | None, form: str) -> int:
    """Run SQL over all files, for reading only.

    \b
      khive-persist query "SELECT event_type, count(*) FROM events GROUP BY 1"
      khive-persist query "SELECT * FROM planner_sessions
          WHERE json_extract(content, '$.complexity') = 'complex'" --jsonl

    Tables: planner_sessions, and hook_events of all tools together; one tool's alone is
    claude_hooks.hook_events, codex_hooks.hook_events or gemini_hooks.hook_events. The views plans
    and events have the same rows as plain columns. A statement that would write fails.

    In JSON, the second column of one name is NAME_2, bytes are {"base64": "…"}, and an infinite
    number is the text 9e999.
    """
    place = drained_place(context, directory)
    databases = AdHoc(sorted(place.khive.glob("*.db")), sql)
    try:
        for error in databases.unread:
            click.echo(f"khive-persist: left out: {error}", err=True)
        names, rows = databases.run(sql)
        if form == "table":
            print_table(names, map(to_cells, rows), "no rows")
        else:
            output = Documents(form)
            for row in rows:
                output.write(to_document(names, row))
            output.end()
    finally:
        databases.close()
    return FAILED if databases.unread else DONE
