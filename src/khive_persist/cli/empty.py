"""The line in the place of an empty table: what was looked for, where, and by which filters."""

import shlex
from typing import Any

import click
from click.core import ParameterSource

from khive_persist.cli.options import FILTER_ARGUMENTS
from khive_persist.cli.output import cell
from khive_persist.project import Project


def none_of(records: str, project: Project | None) -> str:
    """Return the line that says that there are none of these records.

    Args:
        records: Their name, in the plural.
        project: The project that was asked; None for all projects that the person trusts.
    """
    filters = " ".join(_filter_words(click.get_current_context()))
    place = "any project that you trust" if project is None else cell(project.khive, None)
    return f"no {records} in {place}" + (f": {filters}" if filters else "")


def _filter_words(context: click.Context) -> list[str]:
    words = []
    for option in context.command.params:
        name = option.name or ""
        is_set = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in FILTER_ARGUMENTS and is_set:
            words.append(option.opts[0])
            value: Any = context.params[name]
            words += [] if value is True else [cell(shlex.quote(cell(value, None)), None)]
    return words
