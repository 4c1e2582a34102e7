"""`khive-persist purge`."""

import click

from khive_persist import settings as configuration
from khive_persist.cli import completions
from khive_persist.cli.confirm import confirm
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import existing_project, with_project
from khive_persist.cli.output import cell, print_json, warn
from khive_persist.cli.progress import progress
from khive_persist.maintenance.retention.purge import Purged, purge
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import SEARCH_INDEX


@click.command("purge")
@click.option(
    "--session",
    "session_id",
    required=True,
    metavar="ID",
    help="The session.",
    shell_complete=completions.sessions,
)
@click.option("--quarantine", "with_quarantine", is_flag=True,
              help="Delete files of quarantine/ that have it, as a whole.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(session_id: str, with_quarantine: bool, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Remove a session, to the last byte of it: databases, indexes, logs, mirror and spool.

    \b
      khive-persist purge --session 0d3f… --dry-run
      khive-persist purge --session 0d3f… --yes

    The databases are written anew, which takes a while and as much room again. What the session had
    until now does not come back from its transcript, a restored backup, an import or the mirror.
    What may have it still is listed, and the exit code is 1 then: backups that were made before,
    which only `backup prune` deletes; quarantine/, where --quarantine does; events that wait in the
    home's spool; a log that another program keeps; and records that have left for a team, which
    the next push takes out there. So it is where nothing of it was found.
    """
    project = existing_project()
    settings = configuration.load(project.config)
    purposes = known_purposes(project)
    if not session_id:
        raise click.UsageError("a session id has at least one character")
    if not dry_run:
        confirm(f"remove all of session {session_id}", yes=yes)
    with progress("records") as advance:
        result = purge(
            project,
            session_id,
            purposes,
            settings,
            dry_run=dry_run,
            with_quarantine=with_quarantine,
            advance=advance,
        )
    if as_json:
        print_json(
            result._asdict() | {"dry_run": dry_run, "left_in": list(map(str, result.left_in))}
        )
    else:
        _print(result, session_id, dry_run=dry_run)
    is_found = bool(result.removed or result.spooled or result.quarantined)
    return DONE if is_found and (dry_run or result.is_complete) else FAILED


def _print(result: Purged, session_id: str, *, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    for name, count in result.removed.items():
        click.echo(f"{count} records of {name} {verb}")
    if result.spooled:
        click.echo(f"{result.spooled} events of the spool {verb}")
    if result.quarantined:
        click.echo(f"{result.quarantined} files of quarantine/ removed")
    if not result.removed and not result.spooled:
        warn(f"no record of session {cell(session_id)}")
    for backup in result.backups:
        warn(f"{backup} was made before and may have it")
    for reason in result.unseen:
        warn(f"backups may have it; {reason}")
    if result.at_team:
        warn(_at_team(result.at_team, dry_run=dry_run))
    for path in result.left_in:
        warn(f"{path} {_why(path.name)}")


def _at_team(count: int, *, dry_run: bool) -> str:
    if dry_run:
        return f"{count} records have left for the team: the push after it takes them out there"
    return f"{count} records are still in the team's store: khive-persist push takes them out"


def _why(name: str) -> str:
    if name == SEARCH_INDEX:
        return "may have it: it could not be written; purge again, or rebuild --search"
    if name.endswith(".db-wal"):
        return "may have it: another program reads that database all the time; end it, purge again"
    if name.endswith(".db"):
        return "is damaged and may have it: see khive-persist doctor, then purge again"
    if name.endswith(".jsonl.gz"):
        return "has it, or is damaged and may have it: rebuild --from-database, then purge again"
    if name.endswith(".away"):
        return "waits for this project and could not be moved: see khive-persist doctor"
    return "has it still"
