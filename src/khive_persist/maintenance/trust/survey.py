"""Survey of a `.khive` for what this user's programs have not made.

Files are inspected, never obeyed, and no link is followed.
"""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, Literal, NamedTuple

from khive_persist import settings as configuration
from khive_persist import tombstones
from khive_persist.capture import record_file
from khive_persist.capture.record_file import RecordFile
from khive_persist.capture.spool import Spool, parse
from khive_persist.errors import InvalidSettingsError, ProjectError
from khive_persist.maintenance.budget_warnings import record as budget_record
from khive_persist.mirror import verify_record
from khive_persist.models import purpose_registry
from khive_persist.project import RESERVED_DATABASES, TEAM_COPIES, Project
from khive_persist.store import redacting
from khive_persist.store.sqlite import atomic_switch
from khive_persist.store.sqlite.foreign_files import acting
from khive_persist.trust import marks, records, signed

Kind = Literal[
    "link", "not a file", "not a folder", "foreign", "journal", "event", "record", "purpose",
    "tokens", "tombstones", "key", "schema", "settings", "too large",
    "result",
]  # fmt: skip

FOLDERS: Final = frozenset(
    {"spool", "sessions", "backups", "quarantine", "staging", "purposes", "models", TEAM_COPIES}
)
FILES: Final = frozenset(
    {
        "config.toml", "config.local.toml", ".gitignore", atomic_switch.JOURNAL, redacting.KEY_FILE,
        "server.token", "server.tokens", "server.url", "server.lock", "server.recording",
        "open.html", *RESERVED_DATABASES, tombstones.FILE, verify_record.FILE, budget_record.FILE,
    }
)  # fmt: skip
TOKENS: Final = "server.tokens"
_SMALL: Final = FILES - {tombstones.FILE, budget_record.FILE} - RESERVED_DATABASES
_INSPECTED_FOLDERS: Final = ("spool", "purposes", "staging", "backups", "sessions")
_MAX_ENTRIES: Final = 100_000
_MAX_SMALL_FILE_BYTES: Final = 4 << 20
_PIPES: Final = frozenset({"wake"})


class Finding(NamedTuple):
    """One thing that is not this user's own doing, by its path in `.khive`.

    Attributes:
        line: A description of it and of its effect, for a person.
    """

    path: str
    kind: Kind
    line: str


def survey(project: Project) -> list[Finding]:
    """Return all that lies in a `.khive` and is not believed; empty where all is ours."""
    findings: list[Finding] = []
    for name, status in _entries(project.khive):
        findings += _of_kind(project, name, status)
        if stat.S_ISDIR(status.st_mode) and name in _INSPECTED_FOLDERS:
            for inner, inner_status in _entries(project.khive / name):
                findings += _inside(project, name, inner, inner_status)
        elif atomic_switch.is_database(name) and stat.S_ISREG(status.st_mode):
            findings += _schema(project, name)
    if not atomic_switch.is_believed(project.khive):
        line = "a journal that would replace files, and is not ours"
        findings.append(Finding(atomic_switch.JOURNAL, "journal", line))
    line = "describes records, and is not ours"
    findings += [
        Finding(f"{purpose_registry.FOLDER}/{file.name}", "purpose", line)
        for file in purpose_registry.disbelieved(project)
    ]
    findings += _tokens(project) + _tombstones(project) + _key(project) + _settings(project)
    findings += _results(project)
    by_path = {finding.path: finding for finding in reversed(findings)}
    return sorted(by_path.values())


def listing(project: Project) -> list[str]:
    """Return a line for each entry of a `.khive`: its name, and its size or number of entries."""
    lines = []
    for name, status in _entries(project.khive):
        if stat.S_ISDIR(status.st_mode):
            count = sum(1 for _ in _entries(project.khive / name))
            lines.append(f"{name}/ ({count} entries)")
        elif stat.S_ISREG(status.st_mode):
            lines.append(f"{name} ({status.st_size} bytes)")
        else:
            lines.append(f"{name} ({_kind_name(status)})")
    return lines


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, _MAX_ENTRIES))
    except OSError:
        return
    for name in names:
        try:
            yield name, os.lstat(folder / name)
        except OSError:
            continue


def _of_kind(project: Project, name: str, status: os.stat_result) -> list[Finding]:
    if name == marks.ID:
        if stat.S_ISLNK(status.st_mode):
            return []
        return [Finding(name, "not a file", f"{_kind_name(status)} in place of it")]
    if stat.S_ISLNK(status.st_mode):
        return [Finding(name, "link", f"a symbolic link to {_target(project.khive / name)}")]
    if name in FOLDERS and not stat.S_ISDIR(status.st_mode):
        return [Finding(name, "not a folder", f"{_kind_name(status)} in place of a folder")]
    is_ours = name in FILES or atomic_switch.is_database(name)
    if is_ours and not stat.S_ISREG(status.st_mode):
        return [Finding(name, "not a file", f"{_kind_name(status)} in place of a file")]
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return [Finding(name, "not a file", _kind_name(status))]
    if status.st_uid != os.geteuid():
        return [Finding(name, "foreign", "belongs to another user")]
    if name in _SMALL and status.st_size > _MAX_SMALL_FILE_BYTES:
        return [Finding(name, "too large", f"{status.st_size} bytes")]
    return []


def _is_signed(project: Project, file: RecordFile) -> bool:
    try:
        record_file.decode(project.khive, file, Spool(project).read(file))
    except (OSError, ValueError):
        return False
    return True


def _inside(project: Project, folder: str, name: str, status: os.stat_result) -> list[Finding]:
    path = f"{folder}/{name}"
    if stat.S_ISLNK(status.st_mode):
        return [Finding(path, "link", f"a symbolic link to {_target(project.khive / path)}")]
    if folder == "spool":
        if name in _PIPES and stat.S_ISFIFO(status.st_mode):
            return []
        if not stat.S_ISREG(status.st_mode):
            return [Finding(path, "not a file", f"{_kind_name(status)} in place of an event")]
        if name in _PIPES:
            return [Finding(path, "not a file", "a file in place of the drainer's pipe")]
        event = parse(name)
        if event is not None and event.is_away and not marks.is_state(project.khive):
            return [Finding(path, "event", "an event that says it is another project's")]
        if (record := record_file.parse(name)) is not None and not _is_signed(project, record):
            return [Finding(path, "record", "a record that your programs did not put there")]
    elif not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return [Finding(path, "not a file", _kind_name(status))]
    if status.st_uid != os.geteuid():
        return [Finding(path, "foreign", "belongs to another user")]
    return []


def _schema(project: Project, name: str) -> list[Finding]:
    accepted = records.load(project.khive).schema
    return [
        Finding(name, "schema", f"its {part.kind} {part.name!r} acts on {part.table}")
        for part in acting(project.khive / name)
        if part.sha256 not in accepted
    ]


def _tokens(project: Project) -> list[Finding]:
    path = project.khive / TOKENS
    if not os.path.lexists(path) or signed.is_believed(project.khive, TOKENS, path):
        return []
    return [Finding(TOKENS, "tokens", "a list of tokens that is not ours; they open nothing")]


def _tombstones(project: Project) -> list[Finding]:
    if not os.path.lexists(project.khive / tombstones.FILE) or tombstones.is_believed(project):
        return []
    line = "a list of what was purged that is not ours; it keeps nothing out"
    return [Finding(tombstones.FILE, "tombstones", line)]


def _results(project: Project) -> list[Finding]:
    lines = {
        verify_record.FILE: (verify_record.is_believed, "a result of verify"),
        budget_record.FILE: (budget_record.is_believed, "a list of warnings of budgets"),
    }
    return [
        Finding(name, "result", f"{line} that is not ours; it counts for nothing")
        for name, (is_believed, line) in lines.items()
        if os.path.lexists(project.khive / name) and not is_believed(project)
    ]


def _key(project: Project) -> list[Finding]:
    try:
        is_there = os.path.lexists(project.khive / redacting.KEY_FILE)
        is_ours = not is_there or redacting.read_key(project) is not None
    except (OSError, ProjectError):
        is_ours = False
    line = "a key that is not ours; another one is made"
    return [] if is_ours else [Finding(redacting.KEY_FILE, "key", line)]


def _settings(project: Project) -> list[Finding]:
    try:
        names = configuration.withheld(project.config)
    except InvalidSettingsError as error:
        return [Finding("config.toml", "settings", str(error))]
    if not names:
        return []
    line = f"sets {', '.join(names)}, which do not count until you accept it"
    return [Finding("config.toml", "settings", line)]


def _kind_name(status: os.stat_result) -> str:
    for is_kind, word in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISREG, "a file"),
    ):
        if is_kind(status.st_mode):
            return word
    return "a device"


def _target(path: Path) -> str:
    try:
        return ascii(os.readlink(path))
    except OSError:
        return "nowhere"
