"""Make the man page, of the same texts as `--help`.

click-man makes a file a command and finds commands by attributes that ours do not have, as they are
imported when they are called; help2man runs a program and guesses at what it prints.
"""

import re
from collections.abc import Iterator
from importlib.metadata import version
from inspect import cleandoc

import click

_SECTIONS = (
    ("Exit status", "0 done, 1 failed or something found, 2 wrong use, 130 interrupted."),
    (
        "Environment",
        "KHIVE_DIR names the directory that holds .khive. NO_COLOR, if it is not empty, takes the"
        " colours away; FORCE_COLOR keeps them in a pipe.",
    ),
    (
        "Files",
        ".khive below a project has its databases, its copies in sessions/ and its config.toml;"
        " ~/.khive has what belongs to no project, and a config.toml that holds for all.",
    ),
)


def man_page(context: click.Context) -> str:
    """Return the page of a program and all of its commands, as groff reads it.

    Args:
        context: The program's context.
    """
    command = context.command
    name = context.info_name or ""
    heading, _, description = cleandoc(command.help or "").partition("\n")
    package_version = version("khive-persist")
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {package_version}"',
        # The lines of a terminal are too short to be spread to the right.
        ".ad l",
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(heading.rstrip('.'))}",
        ".SH SYNOPSIS",
        _usage(context),
        ".SH DESCRIPTION",
        *_paragraphs(description),
        ".SH OPTIONS",
        *_options(context),
        ".SH COMMANDS",
    ]
    for child in _commands(context):
        title = child.command_path.removeprefix(f"{name} ")
        lines += [f".SS {_escaped(title)}", _usage(child), ".PP"]
        lines += [*_paragraphs(cleandoc(child.command.help or "")), *_options(child)]
    for title, text in _SECTIONS:
        lines += [f".SH {title.upper()}", _escaped(text)]
    return "\n".join(lines) + "\n"


def _commands(parent: click.Context) -> Iterator[click.Context]:
    group = parent.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is not None and not command.hidden:
            context = click.Context(command, info_name=name, parent=parent)
            yield context
            yield from _commands(context)


def _usage(context: click.Context) -> str:
    pieces = context.command.collect_usage_pieces(context)
    return f"\\fB{_escaped(context.command_path)}\\fR {_escaped(' '.join(pieces))}".rstrip()


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text; one that begins with a line of \\b keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *map(_escaped, paragraph.splitlines()[1:]), ".fi")
        else:
            yield _escaped(" ".join(paragraph.split()))


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        # Each command has --help.
        if record is not None and (context.parent is None or parameter.name != "help"):
            yield from (".TP", f"\\fB{_escaped(record[0])}\\fR", _escaped(record[1]))


def _escaped(text: str) -> str:
    """Return text that groff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("\b", "")
    return re.sub(r"^([.'])", r"\\&\1", text.strip("\n"), flags=re.MULTILINE)
