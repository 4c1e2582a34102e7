"""`khive-persist import`."""

import sys
from functools import partial
from pathlib import Path
from typing import IO, Any, get_args

import anyio
import click

from khive_persist.cli import completions
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.merged import print_merged
from khive_persist.cli.options import project_of, with_project
from khive_persist.cli.output import cell, print_json, warn
from khive_persist.cli.progress import progress
from khive_persist.cli.saved import say_mirrored
from khive_persist.cli.unclean_index import warn_of_index
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN
from khive_persist.models.records import class_of
from khive_persist.project import Project
from khive_persist.store.postgres import SCHEMES
from khive_persist.transfer.cells import Preference
from khive_persist.transfer.databases import copy_from_database
from khive_persist.transfer.import_ import Imported, import_rows
from khive_persist.transfer.plain_documents import PlainRecords


class Source(click.Path):
    """A path that is there, `-`, or the address of a database."""

    def __init__(self) -> None:
        super().__init__(exists=True, allow_dash=True)

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        """Return an address as it is, and a path once it is looked at."""
        if isinstance(value, str) and value.startswith(SCHEMES):
            return value
        return super().convert(value, parameter, context)


@click.command("import")
@click.argument("source", type=Source())
@click.option("--purpose", metavar="NAME", shell_complete=completions.purposes,
              help="What rows are that do not say it: planner_sessions, …")  # fmt: skip
@click.option("--id", "id_field", metavar="FIELD",
              help="The field of plain documents that has the id; else id, or the name of a"
              " Markdown file.")  # fmt: skip
@click.option(
    "--created-at",
    "created_at_field",
    metavar="FIELD",
    help="The field that has the time; else created_at, or the time of the file.",
)
@click.option("--prefer", "preference", type=click.Choice(get_args(Preference)),
              help="Which counts where the columns of a row and its content differ; else it"
              " is refused.")  # fmt: skip
@click.option("--update", is_flag=True, help="Replace records that are here with other content.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(
    source: str,
    purpose: str | None,
    id_field: str | None,
    created_at_field: str | None,
    preference: Preference | None,
    update: bool,
    as_json: bool,
) -> int:
    """Import records from SOURCE: what export wrote, a mirror, a .khive, or an old database.

    \b
      khive-persist import plans.csv --update --prefer columns
      khive-persist import ../other-project/.khive
      khive-persist import mirror.tgz
      khive-persist import old/hooks.db
      khive-persist import postgresql://team.example/khive
      ssh host khive-persist export | khive-persist import -
      khive-persist import laps.csv --purpose laps --id lap --created-at begun
      khive-persist import notes/ --purpose notes

    Records are known by their ids, so that importing again changes nothing. What cannot be stored
    is listed, and kept in .khive/quarantine/; the exit code is 1 then.

    With --purpose, JSON, JSON Lines and CSV of any program are taken, all of a document or a line
    being the content of a record; and Markdown with front matter, a file or a folder, its text
    being the field body. An archive that holds anything but files, or leads anywhere, is refused.
    """
    if purpose is None and (id_field or created_at_field):
        raise click.UsageError("--id and --created-at go with --purpose")
    project = project_of()
    if source.startswith(SCHEMES):
        if purpose is not None or preference is not None:
            raise click.UsageError("records of a database say themselves what they are")
        counts = anyio.run(partial(copy_from_database, source, update=update, dir=project.root))
        if as_json:
            print_json({name: merged._asdict() for name, merged in counts.items()})
        else:
            print_merged(counts, project)
        return DONE
    records: IO[bytes] | Path = sys.stdin.buffer if source == "-" else Path(source)
    purposes = {purpose.name: purpose for purpose in known_purposes(project)}
    if purpose is not None and purpose not in purposes:
        raise click.UsageError(f"{purpose!r} is none of " + ", ".join(purposes))
    default = purposes[purpose] if purpose is not None else None
    own_purposes = tuple(purposes.values())[len(BUILT_IN) :]
    plain = None
    if default is not None:
        plain = PlainRecords(class_of(default), default, id_field, created_at_field)
    options = {"update": update, "preference": preference, "default": default, "plain": plain}
    result = anyio.run(partial(_import, project, records, purposes=own_purposes, **options))
    if not result.purposes and not result.refused:
        warn(f"{cell(source, None)} is empty: it has no record")
    if as_json:
        print_json(as_document(result, update=update))
    else:
        print_imported(result, project, update=update)
    return FAILED if result.refused else DONE


async def _import(project: Project, source: IO[bytes] | Path, **options: Any) -> Imported:
    with progress("rows") as advance:
        return await import_rows(project, source, advance=advance, **options)


def as_document(result: Imported, *, update: bool) -> dict[str, Any]:
    """Return the JSON document of an import."""
    return {
        "purposes": {name: counts._asdict() for name, counts in result.purposes.items()},
        "updated": update,
        "refused": result.refused,
        "listed": [{"where": location, "reason": reason} for location, reason in result.listed],
        "aside": result.aside or None,
        "purged": result.purged,
        "index_is_clean": result.index_is_clean,
    }


def print_imported(result: Imported, project: Project, *, update: bool) -> None:
    """Print what came into which database, and on stderr what was refused."""
    for location, reason in result.listed:
        warn(f"{cell(location)}: {cell(reason)}")
    if unlisted := result.refused - len(result.listed):
        warn(f"and {unlisted} more")
    if result.aside:
        warn(f"what was refused is in {result.aside}")
    for name, counts in result.purposes.items():
        path = project.database(f"{name}.db")
        line = f"{path}: {counts.new} new, {counts.same} same, {counts.changed} changed"
        if counts.changed:
            line += " and replaced" if update else " and left as they are (--update replaces them)"
        click.echo(line)
    say_mirrored(project, result.purposes)
    if result.purged:
        click.echo(f"{result.purged} left out: their sessions were purged here", err=True)
    if not result.index_is_clean:
        warn_of_index(project)
    click.echo(f"{result.refused} refused")
