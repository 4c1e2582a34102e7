"""Give a setting a value in the text of a settings file; comments and layout stay as they are.

A library that keeps the format (tomlkit) would write the value where the table ends, and leave the
comment that explains it where it was. Here it takes the place of its own line, also of the line
that shows the default behind a `#`. The result is read once more: one that differs in anything else
is refused.
"""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from khive_persist import settings as configuration
from khive_persist.capture.hook_config.settings_file import SettingsFile
from khive_persist.capture.hook_config.toml_edit import (
    InvalidTomlError,
    Statement,
    read,
    statements,
    written,
)
from khive_persist.errors import InvalidSettingsError
from khive_persist.files import make_directory
from khive_persist.maintenance.config_files.check import check_rules, did_you_mean
from khive_persist.project import Project, write_private
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import marks, records

_CONFIG: Final = "config.toml"
_LOCK: Final = "config.lock"
_LOCK_SECONDS: Final = 10.0


def setting_of(name: str) -> str:
    """Return the field of `Settings` that a name stands for, as `server.port`.

    Raises:
        InvalidSettingsError: There is no such setting.
    """
    setting = name.replace(".", "_", 1)
    if "." not in name or setting not in Settings._fields:
        raise InvalidSettingsError(f"{name} is no setting of this version{did_you_mean(name)}")
    return setting


def parsed(path: Path, name: str, words: tuple[str, ...]) -> Any:
    """Return the value that words of a command line give a setting.

    Args:
        path: The file that it is for.
        name: The setting, as `server.port`.
        words: The value; of a list its items, or all of it in brackets.

    Raises:
        InvalidSettingsError: There is no such setting, or it has no such value.
    """
    default = Settings._field_defaults[setting_of(name)]
    value: Any = words[0] if len(words) == 1 else list(words)
    if isinstance(default, tuple):
        value = list(words)
        if len(words) == 1 and words[0].startswith("["):
            value = _read_value(words[0], value)
    elif not isinstance(default, str) and len(words) == 1:
        value = _read_value(words[0], value)
    table, key = name.split(".", 1)
    check_rules(name, configuration.checked(path, table, key, value))
    return value


def set_value(project: Project, path: Path, name: str, value: Any) -> bool:
    """Write a setting into a file, which is made where it is missing; synced on return.

    Where all of config.toml counts, it still does with this change, which is the person's own.

    Returns:
        Whether the file was not so already.

    Raises:
        StoreBusyError: Others set values for too long.
        InvalidSettingsError: The file is no TOML, is written so that it is not edited here, or
            cannot be written; it is as it was.
        ProjectError: The state folder cannot be written.
    """
    folder = marks.state_folder()
    if folder is None:
        return _set_value(project, path, name, value)
    make_directory(folder)
    # One at a time: who comes second finds what the first one wrote accepted.
    with write_lock.held(folder / _LOCK, _LOCK_SECONDS):
        return _set_value(project, path, name, value)


def _set_value(project: Project, path: Path, name: str, value: Any) -> bool:
    original = configuration.read_text(path)
    is_accepted = original is None or _counts(project)
    text = ""
    if original is None:
        base = (files("khive_persist") / _CONFIG).read_text() if path == project.config else ""
        try:
            text = with_value(base, name, value)
            write_private(path, text.encode())
        except OSError as error:
            raise InvalidSettingsError(f"{path} cannot be written ({error.strerror})") from error
    else:

        def change(current: str | None) -> str:
            nonlocal text, is_accepted
            # Another one, as a pull brings, was not accepted.
            is_accepted = is_accepted and current == original
            text = with_value(current or "", name, value)
            return text

        if not SettingsFile(path, str).edit(change):
            return False
    if path == project.config and is_accepted:
        records.trust_config(project.khive, text)
    return True


def _counts(project: Project) -> bool:
    """Return whether all that config.toml sets counts."""
    try:
        return not configuration.withheld(project.config)
    except InvalidSettingsError:
        return False


def with_value(text: str, name: str, value: Any) -> str:
    """Return the text of a settings file with a value for a setting.

    Raises:
        InvalidTomlError: It is no TOML, or is written so that it is not edited here.
    """
    table, key = name.split(".", 1)
    document = read(text)
    entries = document.setdefault(table, {})
    if isinstance(entries, dict) and key in entries and entries[key] == value:
        return text
    edited = _edited(text, table, key, written(value))
    expected = document | {table: {**entries, key: value}} if isinstance(entries, dict) else None
    try:
        # As text: a value that is not a number equals nothing.
        is_changed_alone = repr(_sorted(read(edited))) == repr(_sorted(expected))
    except InvalidTomlError:
        is_changed_alone = False
    if not is_changed_alone:
        raise InvalidTomlError(f"{name} is written so that it is not edited here", text, 0)
    return edited


def _edited(text: str, table: str, key: str, spelled: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    header: Statement | None = None
    is_inside = False
    last: Statement | None = None
    section_end = len(text)
    for statement in statements(text):
        if statement.is_header(text):
            if is_inside:
                section_end, is_inside = statement.start, False
            elif header is None and statement.value == {table: {}}:
                header, last, is_inside = statement, statement, True
            continue
        is_set = statement.value == {key: statement.value.get(key)} and is_inside
        entries = statement.value.get(table)
        if header is None and isinstance(entries, dict) and set(entries) == {key}:
            # As in `server.port = 1`, before any table.
            is_set = text[statement.start : statement.value_start].count(".") == 1
        if is_set:
            return text[: statement.value_start] + spelled + text[statement.end :]
        last = statement if is_inside else last
    line = f"{key} = {spelled}"
    if header is None or last is None:
        ends = "" if not text or text.endswith("\n") else newline
        return f"{text}{ends}{newline if text else ''}[{table}]{newline}{line}{newline}"
    default = re.compile(rf"^#[ \t]*{re.escape(key)}[ \t]*=.*?(?=\r?$)", re.MULTILINE)
    if match := default.search(text, header.end, section_end):
        return text[: match.start()] + line + text[match.end() :]
    end = text.find("\n", last.end)
    if end < 0:
        return f"{text}{newline}{line}{newline}"
    return f"{text[: end + 1]}{line}{newline}{text[end + 1 :]}"


def _sorted(document: Any) -> Any:
    """Return a document with its keys in order: where a key stands in the text is no matter."""
    if isinstance(document, dict):
        return {key: _sorted(document[key]) for key in sorted(document)}
    return document


def _read_value(word: str, otherwise: Any) -> Any:
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except (ValueError, RecursionError):
        return otherwise
