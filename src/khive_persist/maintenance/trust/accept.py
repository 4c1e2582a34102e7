"""Taking a `.khive` for one's own, as `khive-persist trust` does."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist import clock, tombstones
from khive_persist import settings as configuration
from khive_persist.capture import record_file
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool, waiting_at_home
from khive_persist.errors import InvalidSettingsError, KhiveError, ProjectError
from khive_persist.maintenance.trust.survey import TOKENS, Finding, survey
from khive_persist.mirror.packed_streams import is_file
from khive_persist.models import purpose_registry
from khive_persist.project import (
    GITIGNORE,
    PRIVATE_FILE,
    Project,
    make_directory,
    sync_directory,
    write_private,
)
from khive_persist.store import redacting
from khive_persist.store.sqlite import atomic_switch
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite.foreign_files import acting
from khive_persist.trust import marks, records, search, signed

_STAYS: Final = frozenset({"config.toml", ".gitignore"})


class Origin(NamedTuple):
    """The place at which a `.khive` was known before.

    Attributes:
        digits: The digits of its id there.
        paths: The directories under which that is marked.
        has_moved: Whether it is no longer there: then it was moved, and is the user's own.
    """

    digits: str
    paths: Sequence[Path]
    has_moved: bool


class Acceptance(NamedTuple):
    """The result of `accept`.

    Attributes:
        quarantine: The folder of what was not accepted, or None where all was.
        moved: The names that went there.
        is_marked: Whether the mark could be kept.
        events: The number of events that came in from the home's spool.
        waiting: The number of events that still wait there.
        errors: The reasons why they wait.
    """

    quarantine: Path | None
    moved: Sequence[str]
    is_marked: bool
    events: int
    waiting: int
    errors: Sequence[KhiveError] = ()


def origin(project: Project) -> Origin:
    """Return the place at which a `.khive` was known before, by its id."""
    khive = marks.physical(project.khive)
    for digits in marks.all_digits(project.khive):
        paths = [path for path in marks.known_paths(digits) if path / khive.name != khive]
        if paths:
            is_there = any(digits in marks.all_digits(path / khive.name) for path in paths)
            return Origin(digits, paths, not is_there)
    return Origin("", (), False)


def accept(project: Project, *, keep: bool) -> Acceptance:
    """Trust a `.khive`: marked on return, with nothing in it that is obeyed and not the user's.

    Without `keep`, all but config.toml and .gitignore goes into `quarantine/`; of a `.khive` that
    is trusted already, what is not believed goes, and what config.toml sets that sends, listens, or
    records or redacts less still does not count. Events that waited in the home's spool come in,
    each once.

    Args:
        keep: Whether its content is accepted as it is, but for what no program of ours makes.

    Raises:
        UntrustedError: It is another user's, a link, or no directory.
        ProjectError: Something cannot be moved.
        StoreError: A journal that was taken cannot be carried out.
    """
    search.refuse_foreign(project.khive)
    previous = origin(project)
    was_trusted = marks.is_trusted(project.khive)
    try:
        os.chmod(project.khive, 0o700)
        if was_trusted or keep or previous.has_moved:
            is_marked = marks.mark(project.khive)
            takes = keep or previous.has_moved
            quarantine, moved = _sort_out(project, survey(project), keep=takes)
            if takes:
                _close(project)
        else:
            quarantine, moved = _move_all(project)
            is_marked = marks.mark(project.khive)
    except KhiveError:
        raise
    except OSError as error:
        raise ProjectError(f"{project.khive}: {error.strerror}") from error
    if keep:
        _trust_values(project)
    elif previous.has_moved and marks.is_marked(project.khive):
        records.store(project.khive, records.of_digits(previous.digits))
    for path in previous.paths if previous.has_moved else ():
        marks.forget(path / project.khive.name, project.khive)
        records.drop(previous.digits)
    project.make()
    waiting_before = waiting_at_home(project)
    errors = drain(project).errors
    waiting_after = waiting_at_home(project)
    return Acceptance(
        quarantine, moved, is_marked, waiting_before - waiting_after, waiting_after, errors
    )


def _move_all(project: Project) -> tuple[Path | None, list[str]]:
    """Move all but the settings into a new folder of the quarantine."""
    names = [name for name in sorted(os.listdir(project.khive)) if not _stays(project, name)]
    if not names:
        return None, []
    folder = project.khive / f"untrusted.{clock.new_id()}"
    make_directory(folder)
    for name in names:
        os.rename(project.khive / name, folder / name)
    ignore = project.khive / ".gitignore"
    if os.path.lexists(ignore):
        write_private(ignore, GITIGNORE)
    return _set_aside(project, folder), names


def _set_aside(project: Project, folder: Path) -> Path:
    """Put a folder of what was moved into the quarantine: synced on return."""
    sync_directory(folder)
    # What lay in place of it was moved too. To make it syncs the names beside it.
    make_directory(project.quarantine)
    os.rename(folder, project.quarantine / folder.name)
    sync_directory(project.quarantine)
    return project.quarantine / folder.name


def _stays(project: Project, name: str) -> bool:
    return name in _STAYS and is_file(project.khive / name)


def _sort_out(
    project: Project, findings: list[Finding], *, keep: bool
) -> tuple[Path | None, list[str]]:
    """Accept the findings that can be accepted, if `keep`, and move the rest."""
    # The quarantine itself may be what has to go.
    folder = project.khive / f"untrusted.{clock.new_id()}"
    moved = []
    for finding in findings:
        if finding.kind == "settings":
            continue
        if keep and _take(project, finding):
            continue
        if not os.path.lexists(project.khive / finding.path):
            continue
        make_directory(folder)
        target = folder / finding.path.replace("/", "_")
        if finding.kind == "schema":
            sqlite.set_aside(project.khive / finding.path, folder)
        else:
            os.rename(project.khive / finding.path, target)
        moved.append(finding.path)
    for parent in {(project.khive / path).parent for path in moved}:
        sync_directory(parent)
    return (_set_aside(project, folder), moved) if moved else (None, [])


def _take(project: Project, finding: Finding) -> bool:
    """Accept one finding as the user's own, and return whether that is possible."""
    try:
        if finding.kind == "journal":
            atomic_switch.adopt(project.khive)
            atomic_switch.settle(project.khive)
        elif finding.kind == "purpose":
            purpose_registry.adopt(project, project.khive / finding.path)
        elif finding.kind == "record":
            path = project.khive / finding.path
            file = record_file.parse(path.name)
            if file is None:
                return False
            raw = Spool(project).read(file)
            write_private(path, record_file.sign_anew(project.khive, file, raw))
        elif finding.kind == "tokens":
            document = signed.read(project.khive / TOKENS)
            document.pop("mac", None)
            write_private(project.khive / TOKENS, signed.dump(project.khive, TOKENS, document))
        elif finding.kind == "tombstones":
            tombstones.adopt(project)
        elif finding.kind == "key":
            key = redacting.read_key(project, believed=False)
            if key is None:
                return False
            redacting.sign_key(project, key)
        else:
            # Settings and schemas are remembered below; the rest no program of ours makes.
            return finding.kind in ("schema", "settings")
    except (KhiveError, OSError, ValueError):
        return False
    return True


def _close(project: Project) -> None:
    """Make all files private: they may have been open to others where they came from."""
    for directory, folders, files in os.walk(project.khive):
        for name in folders:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
        for name in files:
            path = os.path.join(directory, name)
            if is_file(Path(path)):
                os.chmod(path, PRIVATE_FILE)


def _trust_values(project: Project) -> None:
    """Remember the settings and the schemas as the person has seen them."""
    if not marks.is_marked(project.khive):
        return
    try:
        config = configuration.read_text(project.config)
    except InvalidSettingsError:
        config = None
    schema = {
        part.sha256
        for name in os.listdir(project.khive)
        if atomic_switch.is_database(name) and is_file(project.khive / name)
        for part in acting(project.khive / name)
    }
    records.store(project.khive, records.Trusted(config, tuple(sorted(schema))))
