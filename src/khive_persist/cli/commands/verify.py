"""`khive-persist verify`."""

from functools import partial
from typing import Any

import anyio
import click

from khive_persist.capture.drain_settings import usable_settings
from khive_persist.cli.empty import none_of
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_project, with_project
from khive_persist.cli.output import Documents, cell, print_json, print_table
from khive_persist.cli.progress import progress
from khive_persist.copies import bring_in, mirrored
from khive_persist.hints import command_in
from khive_persist.mirror.verify import Comparison, Tally, compared
from khive_persist.mirror.verify_record import write_last_verify
from khive_persist.project import Project
from khive_persist.search_index.state import state_line, verified_state
from khive_persist.transfer.databases import compare_with_database

COLUMNS = ("purpose", *Tally._fields)


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--jsonl", "as_lines", is_flag=True, help="One difference a line.")
@click.option("--against", metavar="URL",
              help="Compare with the tables of a database, postgresql://…")  # fmt: skip
@with_project
def command(as_json: bool, as_lines: bool, against: str | None) -> int:
    """Prove that both copies of the records are equal, or list each difference.

    Every record is in a database and, as JSON, in sessions/. Both are read and compared row by row,
    while others write. Exit code 1 where they differ.

    \b
      khive-persist verify
      khive-persist verify --jsonl | head

    A record that is missing in one copy comes back with `khive-persist rebuild`. A file in
    sessions/ that is not ours is named and left alone. The index of the search is examined, too;
    `rebuild --search` makes it anew.
    """
    project = drained_project()
    if against is not None:
        return _against(project, against, as_json=as_json, as_lines=as_lines)
    purposes = mirrored(project)
    bring_in(project, purposes)
    with progress("records") as advance, compared(project, purposes, advance) as comparison:
        write_last_verify(project, comparison)
        state = verified_state(project, usable_settings(project))
        if as_json:
            print_json(_as_json(comparison) | {"search_index": state._asdict()})
        elif as_lines:
            output = Documents("jsonl")
            for difference in comparison.differences():
                output.write(difference._asdict())
            output.end()
        else:
            _print(comparison, project)
            click.echo(f"search index: {cell(state_line(state), None)}")
            if state.problem:
                click.echo(f"mend it with {command_in(project.root, 'rebuild', '--search')}")
    return DONE if comparison.is_equal and not state.problem else FAILED


def _against(project: Project, url: str, *, as_json: bool, as_lines: bool) -> int:
    comparison = anyio.run(partial(compare_with_database, url, dir=project.root))
    differences = [difference._asdict() for difference in comparison.differences]
    if as_json:
        print_json({"records": comparison.records, "differences": differences})
    elif as_lines:
        output = Documents("jsonl")
        for difference in differences:
            output.write(difference)
        output.end()
    else:
        for difference in differences:
            click.echo("  ".join(cell(word, None) for word in difference.values()))
        click.echo(f"{comparison.records} records are equal, {len(differences)} differ")
    return FAILED if differences else DONE


def tally_rows(tallies: dict[str, Tally]) -> list[list[Any]]:
    """Return the tallies that count anything, a row each."""
    return [[name, *tally] for name, tally in tallies.items() if any(tally)]


def _print(comparison: Comparison, project: Project) -> None:
    print_table(COLUMNS, tally_rows(comparison.tallies), none_of("records", project))
    for difference in comparison.differences():
        at = f"{difference.file}:{difference.line}" if difference.line else difference.file
        subject = " ".join(part for part in (difference.purpose, difference.id, at) if part)
        click.echo(f"{difference.kind}  {cell(subject, None)}  {cell(difference.reason, None)}")
    click.echo("both copies are equal" if comparison.is_equal else "the copies differ")


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "is_equal": comparison.is_equal,
        "purposes": {name: tally._asdict() for name, tally in comparison.tallies.items()},
        "differences": [difference._asdict() for difference in comparison.differences()],
    }
