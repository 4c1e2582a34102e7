"""Find what is wrong in the settings files of a project, each with its line."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from khive_persist import settings as configuration
from khive_persist.capture.hook_config.toml_edit import InvalidTomlError, read, statements
from khive_persist.errors import InvalidSettingsError
from khive_persist.hints import command_in
from khive_persist.maintenance.retention import rules
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.settings import HOME_ONLY, PERSONAL, Settings, dotted
from khive_persist.team import kinds
from khive_persist.trust import marks

Kind = Literal["invalid", "without_effect"]

_LAST_PORT: Final = 65_535
_NAMES: Final = [dotted(name) for name in Settings._fields]


class Problem(NamedTuple):
    """A mistake in a settings file.

    Attributes:
        path: The file.
        line: The line, from 1; None where the file as a whole is meant.
        name: The setting, as `server.port`; None where no single one is meant.
        kind: `invalid`: the whole file does not count, and the defaults hold. `without_effect`:
            this setting does not count.
        reason: The mistake, and where there is one, the way out.
    """

    path: Path
    line: int | None
    name: str | None
    kind: Kind
    reason: str


def config_files(project: Project) -> list[Path]:
    """Return the settings files that count in a project; a later file comes before an earlier."""
    of_project = [project.config, project.local_config]
    folder = marks.state_folder()
    return (
        of_project
        if folder is None or marks.is_state(project.khive)
        else [folder / "config.toml", *of_project]
    )


def check(project: Project) -> list[Problem]:
    """Return what is wrong in the settings files of a project, file by file in order of lines."""
    problems: list[Problem] = []
    is_valid = True
    for path in config_files(project):
        of_file = sorted(_invalid(path), key=lambda problem: problem.line or 0)
        is_valid = is_valid and not of_file
        problems += of_file
    if not is_valid:
        return problems
    return [*_unusable(project), *_without_effect(project)]


def _unusable(project: Project) -> Iterator[Problem]:
    """Yield the settings that are of their type, and no command can use. All files are valid."""
    for path in config_files(project):
        lines = _lines(configuration.read_text(path) or "")
        for setting, value in configuration.read(path).items():
            name = dotted(setting)
            try:
                check_rules(name, value)
            except InvalidSettingsError as error:
                table, key = name.split(".", 1)
                reason = str(error).removeprefix(f"{name}: ").removeprefix(f"{name} ")
                yield Problem(path, lines.get((table, key)), name, "without_effect", reason)


def _invalid(path: Path) -> Iterator[Problem]:
    try:
        text = configuration.read_text(path)
    except InvalidSettingsError as error:
        yield Problem(path, None, None, "invalid", str(error))
        return
    if text is None:
        return
    try:
        tables = read(text)
    except InvalidTomlError as error:
        yield Problem(path, error.line, None, "invalid", str(error))
        return
    lines = _lines(text)
    for table, entries in tables.items():
        if not isinstance(entries, dict):
            reason = f"is no table: write [{table}]"
            yield Problem(path, lines.get((table, "")), table, "invalid", reason)
            continue
        for key, value in entries.items():
            name = f"{table}.{key}"
            try:
                configuration.checked(path, table, key, value)
            except InvalidSettingsError as error:
                reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{name} ")
                if name not in _NAMES:
                    reason += did_you_mean(name)
                line = lines.get((table, key)) or lines.get((table, ""))
                yield Problem(path, line, name, "invalid", reason)


def check_rules(name: str, value: Any) -> None:
    """Read what the commands that use a setting read in it: a mistake there voids no file.

    Raises:
        InvalidSettingsError: They could not.
    """
    if name == "cost.prices":
        PriceTable(value)
    elif name == "retention.rules":
        for text in value:
            rules.parse(text)
    elif name == "team.kinds":
        for text in value:
            kinds.parse(text)
    elif name == "server.port" and value > _LAST_PORT:
        raise InvalidSettingsError(f"server.port is a whole number from 0 to {_LAST_PORT}")


def did_you_mean(name: str) -> str:
    """Return the words that name the setting which is spelled most like this, or nothing."""
    keys = {known.partition(".")[2]: known for known in _NAMES}
    likely = get_close_matches(name, _NAMES, 1, 0.7)
    likely += [keys[key] for key in get_close_matches(name.partition(".")[2] or name, keys, 1, 0.8)]
    return f": do you mean {likely[0]}?" if likely else ""


def _without_effect(project: Project) -> list[Problem]:
    """Return the settings that do not count where they stand. All files are valid."""
    problems = []
    is_home = marks.is_state(project.khive)
    withheld = set() if is_home else set(configuration.withheld(project.config))
    folder = marks.state_folder()
    for path in () if is_home else (project.config, project.local_config):
        lines = _lines(configuration.read_text(path) or "")
        for setting in configuration.read(path):
            name = dotted(setting)
            if setting in HOME_ONLY:
                place = folder / project.config.name if folder else "the home's config.toml"
                reason = f"counts in {place} alone"
            elif setting in PERSONAL and path == project.config:
                reason = f"counts in {configuration.LOCAL} and the home's config.toml alone"
            elif name in withheld:
                reason = (
                    "does not count until you accept the file:"
                    f" {command_in(project.root, 'trust', '--keep')}"
                    if path == project.config
                    else "does not count, as git tracks the file"
                )
            else:
                continue
            table, key = name.split(".", 1)
            problems.append(Problem(path, lines.get((table, key)), name, "without_effect", reason))
    return problems


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Return the lines of the tables and keys of a valid document, from 1."""
    lines: dict[tuple[str, str], int] = {}
    header: tuple[str, ...] = ()
    for statement in statements(text):
        line = text.count("\n", 0, statement.start) + 1
        path = _path(statement.value)
        if statement.is_header(text):
            header = path
        table, key = (*(() if statement.is_header(text) else header), *path, "", "")[:2]
        lines.setdefault((table, key), line)
        lines.setdefault((table, ""), line)
        value: Any = statement.value.get(path[0]) if len(path) == 1 else None
        if not header and isinstance(value, dict):
            # All of a table in one line.
            lines |= {(table, str(name)): line for name in value}
    return lines


def _path(value: dict[str, Any]) -> tuple[str, ...]:
    """Return the keys that lead into the document of a single statement."""
    path: list[str] = []
    inner: Any = value
    while isinstance(inner, dict) and len(inner) == 1:
        (key,) = inner
        path.append(key)
        inner = inner[key]
    return tuple(path)
