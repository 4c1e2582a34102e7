"""`khive-persist rebuild`."""

import sys
from typing import Literal

import click

from khive_persist.cli.commands.verify import COLUMNS, tally_rows
from khive_persist.cli.empty import none_of
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import drained_project, existing_project, with_project
from khive_persist.cli.output import print_json, print_table
from khive_persist.cli.progress import progress
from khive_persist.cli.unclean_index import warn_of_index
from khive_persist.copies import Source, make_anew, make_search_anew, mirrored
from khive_persist.hints import command_in
from khive_persist.mirror.rebuild import Rebuilt
from khive_persist.project import Project
from khive_persist.search_index.state import state_line


@click.command("rebuild")
@click.option("--from-mirror", "source", flag_value="mirror",
              help="The databases from the JSON in sessions/.")  # fmt: skip
@click.option("--from-database", "source", flag_value="database",
              help="The JSON in sessions/ from the databases.")  # fmt: skip
@click.option("--search", "source", flag_value="search",
              help="The index of the search from the databases.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Also set records aside that the mirror has not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(source: Source | Literal["search"] | None, yes: bool, as_json: bool) -> int:
    """Make one copy of the records anew from the other, and prove that they are equal.

    \b
      khive-persist rebuild --from-mirror      a database was lost or damaged
      khive-persist rebuild --from-database    files in sessions/ were
      khive-persist rebuild --search           the index of the search was

    What is equal is left as it is. What is replaced goes to .khive/quarantine/, where nothing is
    deleted. Where a database has records that the mirror has not, --from-mirror asks first.
    """
    if source is None:
        raise click.UsageError(
            "say which copy is right: --from-mirror or --from-database; or --search"
        )
    project = existing_project()
    if source == "search":
        return _rebuild_search(project, as_json=as_json)
    purposes = mirrored(project)
    with progress("records") as advance:
        result = make_anew(
            project, source, purposes, advance, may_discard=lambda count: yes or _agrees(count)
        )
    # Says what waits still.
    drained_project()
    if as_json:
        print_json(
            result._asdict()
            | {
                "tallies": {name: tally._asdict() for name, tally in result.tallies.items()},
                "set_aside": str(result.set_aside) if result.set_aside else None,
            }
        )
    else:
        _print(result, project)
    return DONE if result.is_equal else FAILED


def _rebuild_search(project: Project, *, as_json: bool) -> int:
    with progress("records") as advance:
        state = make_search_anew(project, advance)
    if as_json:
        print_json(state._asdict())
    else:
        click.echo(f"{project.search_index}: {state_line(state)}")
    is_whole = state.behind is not None and not (state.vectors and state.vectors.sentence)
    return FAILED if state.problem or not is_whole else DONE


def _agrees(count: int) -> bool:
    return sys.stdin.isatty() and click.confirm(
        f"{count} records are in a database and not in sessions/: set them aside with it?", err=True
    )


def _print(result: Rebuilt, project: Project) -> None:
    print_table(COLUMNS, tally_rows(result.tallies), none_of("records", project))
    names = ", ".join(result.rebuilt)
    click.echo(f"made anew: {names}" if names else "nothing had to be made anew")
    if names:
        click.echo(f"databases in {project.khive}, their JSON in {project.sessions}")
    if result.set_aside:
        click.echo(f"what was replaced lies in {result.set_aside}")
    if result.only_there:
        click.echo(f"{result.only_there} records are only there")
    if not result.index_is_clean:
        warn_of_index(project)
    hint = f"see {command_in(project.root, 'verify')}"
    click.echo("both copies are equal" if result.is_equal else f"the copies differ still: {hint}")
