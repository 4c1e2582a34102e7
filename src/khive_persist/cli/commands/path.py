"""`khive-persist path`."""

from typing import Final

import click

from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import named_directory, with_project
from khive_persist.cli.output import cell, print_json
from khive_persist.cli.screen import is_screen
from khive_persist.trust import search
from khive_persist.trust.location import Location, Source, State, locate

_SOURCES: Final[dict[Source, str]] = {
    "option": "--dir names {start}",
    "environment": "KHIVE_DIR names {start}",
    "upward": "the nearest upward from {start}",
    "home": "the home's: there is none of yours upward from {start}",
}
_STATES: Final[dict[State, str]] = {
    "trusted": "trusted",
    "meant": "trusted, as KHIVE_DIR names it",
    "settings": "holds settings alone: trusted once it is used",
    "untrusted": "not trusted",
    "missing": "not there yet",
}


@click.command("path")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(as_json: bool) -> int:
    """Print which .khive is used here, and say on stderr why that one.

    \b
      khive-persist path
      sqlite3 "$(khive-persist path)/claude_hooks.db" .tables
      khive-persist path --json | jq -r .source

    The way is that of all commands: --dir, then KHIVE_DIR, then the nearest .khive upward from here
    that is trusted, then the home's. The exit code is 1 where it is not there, or not trusted.
    """
    location = locate(named_directory())
    if as_json:
        print_json(
            location._asdict()
            | {
                "khive": str(location.khive),
                "start": str(location.start),
                "passed": location.passed and str(location.passed),
                "is_usable": location.is_usable,
            }
        )
    else:
        # A program takes it as it is.
        click.echo(cell(str(location.khive), None) if is_screen() else location.khive)
        for line in _reasons(location):
            click.echo(cell(line, None), err=True)
    return DONE if location.is_usable else FAILED


def _reasons(location: Location) -> list[str]:
    source = _SOURCES[location.source].format(start=location.start)
    if location.passed is not None:
        source = f"the next one above {location.passed}, which is passed over"
    lines = [f"{source}; {_STATES[location.state]}"]
    lines += [location.problem] if location.problem else []
    lines += [] if location.passed is None else [str(search.untrusted(location.passed))]
    return lines
