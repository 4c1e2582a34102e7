"""The warning that the index of the search may still have what was removed elsewhere."""

from khive_persist.cli.output import warn
from khive_persist.hints import command_in
from khive_persist.project import Project


def warn_of_index(project: Project) -> None:
    """Warn on stderr that the index has to be made anew, with the command that does it."""
    mending = command_in(project.root, "rebuild", "--search")
    warn(f"{project.search_index} may have something of it still: {mending} makes it anew")
