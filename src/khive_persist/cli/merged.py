"""How many records went from one place to another: a row a purpose."""

from collections.abc import Mapping

from khive_persist.cli.empty import none_of
from khive_persist.cli.output import print_table
from khive_persist.project import Project
from khive_persist.store.backend import Merged


def print_merged(counts: Mapping[str, Merged], project: Project) -> None:
    """Print the counts by purpose."""
    rows = [[name, *merged] for name, merged in counts.items()]
    print_table(("purpose", "new", "same", "changed"), rows, none_of("records", project))
