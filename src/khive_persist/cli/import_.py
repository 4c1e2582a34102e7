"""`khive-persist import`."""

import sys
from functools import partial
from pathlib import Path
from typing import IO

import anyio
import click

from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import place_of, with_place
from khive_persist.cli.output import cell, print_json
from khive_persist.cli.progress import progress
from khive_persist.exchange.importing import Imported, import_rows
from khive_persist.place import Place
from khive_persist.purposes import BUILT_IN, Purpose
from khive_persist.register import known_purposes


@click.command("import")
@click.argument("source", type=click.Path(exists=True, allow_dash=True))
@click.option("--purpose", metavar="NAME",
              help="What rows are that do not say it: planner_sessions, …")  # fmt: skip
@click.option("--update", is_flag=True, help="Replace records that are here with other content.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_place
@click.pass_context
def command(
    context: click.Context,
    source: str,
    purpose: str | None,
    update: bool,
    as_json: bool,
    directory: str | None,
) -> int:
    """Import records from SOURCE: what export wrote, a mirror, a .khive, or an old database.

    \b
      khive-persist import plans.csv
      khive-persist import ../other-project/.khive
      khive-persist import old/hooks.db
      ssh host khive-persist export | khive-persist import -

    Records are known by their ids, so that importing again changes nothing. What cannot be stored
    is listed, and kept in .khive/quarantine/; the exit code is 1 then.
    """
    place = place_of(context, directory)
    of: IO[bytes] | Path = sys.stdin.buffer if source == "-" else Path(source)
    known = {one.name: one for one in known_purposes(place)}
    if purpose is not None and purpose not in known:
        raise click.UsageError(f"{purpose!r} is none of " + ", ".join(known))
    default = known[purpose] if purpose is not None else None
    own = tuple(known.values())[len(BUILT_IN) :]
    done = anyio.run(partial(_import, place, of, update=update, default=default, purposes=own))
    if as_json:
        print_json(
            {
                "purposes": {name: counts._asdict() for name, counts in done.purposes.items()},
                "updated": update,
                "refused": done.refused,
                "listed": [{"where": where, "reason": why} for where, why in done.listed],
                "aside": done.aside or None,
                "purged": done.purged,
            }
        )
    else:
        _print(done, place, update=update)
    return FAILED if done.refused else DONE


async def _import(
    place: Place,
    source: IO[bytes] | Path,
    *,
    update: bool,
    default: Purpose | None,
    purposes: tuple[Purpose, ...],
) -> Imported:
    with progress("rows") as advance:
        return await import_rows(
            place, source, update=update, default=default, purposes=purposes, advance=advance
        )


def _print(done: Imported, place: Place, *, update: bool) -> None:
    for where, reason in done.listed:
        click.echo(f"khive-persist: {cell(where)}: {cell(reason)}", err=True)
    if more := done.refused - len(done.listed):
        click.echo(f"khive-persist: and {more} more", err=True)
    if done.aside:
        click.echo(f"khive-persist: what was refused is in {done.aside}", err=True)
    for name, counts in done.purposes.items():
        path = place.database(f"{name}.db")
        line = f"{path}: {counts.new} new, {counts.same} same, {counts.changed} changed"
        if counts.changed:
            line += " and replaced" if update else " and left as they are (--update replaces them)"
        click.echo(line)
    if done.purged:
        click.echo(f"{done.purged} left out: their sessions were purged here", err=True)
    click.echo(f"{done.refused} refused")
