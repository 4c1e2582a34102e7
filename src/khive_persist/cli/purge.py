"""`khive-persist purge`."""

import click

from khive_persist import settings as configuration
from khive_persist.cli.asking import confirm
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import existing_place, with_place
from khive_persist.cli.output import print_json
from khive_persist.cli.progress import progress
from khive_persist.register import known_purposes
from khive_persist.retention.purge import purge


@click.command("purge")
@click.option("--session", "session_id", required=True, metavar="ID", help="The session.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_place
@click.pass_context
def command(
    context: click.Context,
    session_id: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    directory: str | None,
) -> int:
    """Remove a session, to the last byte of it: databases, indexes, logs, mirror and spool.

    \b
      khive-persist purge --session 0d3f… --dry-run
      khive-persist purge --session 0d3f… --yes

    The databases are written anew, which takes a while and as much room again. Files that name the
    session still, as backups and what lies in quarantine/, are listed, and the exit code is 1 then:
    delete them yourself. So it is where nothing of the session was found.
    """
    place = existing_place(context, directory)
    settings = configuration.load(place.config)
    purposes = known_purposes(place)
    if not dry_run:
        confirm(f"remove all of session {session_id}", yes=yes)
    with progress("records") as advance:
        done = purge(place, session_id, purposes, settings, dry_run=dry_run, advance=advance)
    if as_json:
        print_json(done._asdict() | {"dry_run": dry_run, "left_in": list(map(str, done.left_in))})
    else:
        would = "would be removed" if dry_run else "removed"
        for name, count in done.removed.items():
            click.echo(f"{count} records of {name} {would}")
        if done.spooled:
            click.echo(f"{done.spooled} events of the spool {would}")
        if not done.removed and not done.spooled:
            click.echo(f"khive-persist: no record of session {session_id}", err=True)
        if done.backups:
            many = f"{done.backups} backups lie in {place.backups}"
            click.echo(f"khive-persist: {many}: those made before have it", err=True)
        for path in done.left_in:
            click.echo(f"khive-persist: {path} still names it", err=True)
    found = bool(done.removed or done.spooled)
    return DONE if found and not done.left_in else FAILED
