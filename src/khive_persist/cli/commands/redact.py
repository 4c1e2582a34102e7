"""`khive-persist redact`."""

import sys
from typing import IO

import click

from khive_persist import settings as configuration
from khive_persist.capture.drain import drain
from khive_persist.cli.confirm import confirm
from khive_persist.cli.empty import none_of
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import existing_project, with_project
from khive_persist.cli.output import print_json, print_table, warn
from khive_persist.cli.progress import progress
from khive_persist.cli.unclean_index import warn_of_index
from khive_persist.maintenance.retention.removal import rescan_all, unscanned
from khive_persist.store.redacting import load_redactor


@click.command("redact")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--rescan", "is_rescan", is_flag=True, help="Look at all records that are stored.")
@click.option("--dry-run", is_flag=True, help="With --rescan: only count.")
@click.option("--yes", is_flag=True, help="With --rescan: do not ask.")
@click.option("--json", "as_json", is_flag=True, help="With --rescan: one JSON document.")
@with_project
def command(
    file: IO[bytes] | None, is_rescan: bool, dry_run: bool, yes: bool, as_json: bool
) -> int:
    """Replace secrets in text, or in what was stored before.

    \b
      khive-persist redact --rescan --dry-run
      khive-persist redact notes.txt > notes.redacted.txt

    Records are redacted before they are stored. --rescan does so again, for those that were stored
    before a kind of secret was known, or while redaction was off; the databases are written anew.
    With FILE, or `-` for stdin, the redacted text is printed and nothing is stored.
    """
    if is_rescan == (file is not None):
        raise click.UsageError("name a FILE, or say --rescan")
    project = existing_project()
    if file is not None:
        settings = configuration.load(project.config)
        redactor = load_redactor(project, settings._replace(redaction_enabled=True))
        assert redactor is not None
        text, counts = redactor.redact_bytes(file.read())
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        for kind, count in sorted(counts.items()):
            click.echo(f"{count} {kind}", err=True)
        return DONE
    drain(project)
    if not dry_run:
        confirm("replace secrets in what is stored, for good", yes=yes)
    with progress("records") as advance:
        results = rescan_all(project, dry_run=dry_run, advance=advance)
    if as_json:
        print_json(
            {"dry_run": dry_run, "purposes": {name: s._asdict() for name, s in results.items()}}
        )
    else:
        rows = [
            [name, scan.looked_at, scan.changed, scan.kinds]
            for name, scan in results.items()
            if scan[0]
        ]
        print_table(
            ("purpose", "records", "with_secrets", "kinds"), rows, none_of("records", project)
        )
        if dry_run:
            click.echo("nothing was changed: this was a dry run")
    busy = [name for name, scan in results.items() if not scan.log_is_empty]
    for name in busy:
        warn(
            f"another program reads {name}.db all the time, and keeps its log: close"
            " it and run this again"
        )
    reasons = unscanned(project)
    for reason in reasons:
        warn(reason)
    is_clean = all(scan.index_is_clean for scan in results.values())
    if not is_clean:
        warn_of_index(project)
    return FAILED if busy or reasons or not is_clean else DONE
