"""Removing a session so that nothing of it is left in the files of a project."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from khive_persist import tombstones
from khive_persist.capture.drain import drain
from khive_persist.errors import InvalidRecordError, StoreDamagedError
from khive_persist.maintenance.retention import remaining_copies
from khive_persist.maintenance.retention.spooled import remove_waiting, waiting_at_home
from khive_persist.mirror import names, packed_streams, scan
from khive_persist.mirror import rewrite as copies
from khive_persist.mirror.stream_file import NO_SESSION, owner_of
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, sync_directory
from khive_persist.search_index.removal import Removal, removing
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow
from khive_persist.store.session_ids import SessionMatch, named_in
from khive_persist.store.sqlite.rewrite import rehearse
from khive_persist.store.sqlite.vacuum import erase
from khive_persist.store.staging import staging, sweep
from khive_persist.team.status import count_left, withdraw_purged
from khive_persist.threads import Advance, silent
from khive_persist.tombstones import Tombstones
from khive_persist.transcripts.checkpoint import remove_sync_positions


class Purged(NamedTuple):
    """The result of purging a session; of a dry run, the one that there would be.

    Attributes:
        removed: The number of records removed, by the name of their purpose.
        spooled: The number of pending events and records removed from the spool.
        left_in: Files that have something of the session still, or may have: of `quarantine/`, of
            the home's spool, a database that is damaged, its write-ahead log or that of the
            search's index where another program keeps it, and what lies damaged in the mirror.
        backups: Backups that were made before, and may have it: each with its destination.
        unseen: Destinations of backups that could not be looked at, each with the reason.
        quarantined: The number of files of `quarantine/` removed.
        at_team: The number of its records that have left for a team, and are there until the next
            push.
    """

    removed: dict[str, int]
    spooled: int
    left_in: list[Path]
    backups: list[str]
    unseen: list[str]
    quarantined: int
    at_team: int = 0

    @property
    def is_complete(self) -> bool:
        """Return whether nothing of the session is left anywhere that is known."""
        return not (self.left_in or self.backups or self.unseen or self.at_team)


def purge(
    project: Project,
    session_id: str,
    purposes: Sequence[Purpose],
    settings: Settings,
    *,
    dry_run: bool = False,
    with_quarantine: bool = False,
    advance: Advance = silent,
) -> Purged:
    """Remove every record of a session of these purposes, as `removal.purge` says.

    The databases are written anew, and the index of the search where there is one, so that no byte
    of what was removed stays in free space, an index or a write-ahead log. An event that could not
    be parsed goes if it names the session, or names none and has the id as a word in it. Records of
    other sessions that mention the id stay.

    Raises:
        InvalidRecordError: The id is empty.
        ProjectError: `.khive/tombstones.json` cannot be read or written.
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file cannot be written.
    """
    if not session_id:
        raise InvalidRecordError("a session id has at least one character")
    drain(project)
    match = SessionMatch(session_id)
    purged_before = Tombstones.load(project).purged_until(session_id)
    if not dry_run and not purged_before:
        # First of all: a sync that runs just now must not read it in again.
        tombstones.note(project, lambda stones: stones.with_purge(session_id))
    if dry_run:
        return _rehearse(project, match, purposes, settings)
    at_team = withdraw_purged(project, session_id)
    with removing(project, settings, advance) as removal:
        removal.announce_session(session_id, purposes)
        removed, left_in = _purge_databases(project, match, purposes, settings, removal, advance)
        left_in_index = removal.finish()
    spooled = remove_waiting(project, match, settings)
    mirror_purge = _MirrorPurge(match)
    for purpose in purposes:
        mirror_purge.purge_mirror(project, purpose, settings, advance)
    if scan.is_folder(project.sessions):
        sync_directory(project.sessions)
    remove_sync_positions(project, match.is_in)
    sweep(project)
    is_any_removed = bool(removed or spooled)
    if purged_before and is_any_removed:
        tombstones.note(project, lambda stones: stones.with_purge(session_id))
    quarantined = remaining_copies.empty_quarantine(project, match) if with_quarantine else 0
    left_in += [
        *left_in_index,
        *remaining_copies.in_mirror(project, match),
        *(path for path in mirror_purge.unclear if path.exists()),
        *remaining_copies.in_quarantine(project, match),
        *waiting_at_home(project, match, settings),
    ]
    backups, unseen = remaining_copies.in_backups(
        project, settings, "" if is_any_removed else purged_before
    )
    return Purged(removed, spooled, sorted({*left_in}), backups, unseen, quarantined, at_team)


def _rehearse(
    project: Project, match: SessionMatch, purposes: Sequence[Purpose], settings: Settings
) -> Purged:
    """Count the records that a purge would remove."""
    removed: dict[str, int] = {}
    for purpose in purposes:
        path = project.database(purpose.file)
        if path.exists():
            rehearsal = rehearse(path, purpose, partial(_without_session, match))
            if count := sum(batch.removed for batch in rehearsal):
                removed[purpose.name] = count
    spooled = remove_waiting(project, match, settings, dry_run=True)
    return Purged(removed, spooled, [], [], [], 0, count_left(project, match.id))


def _purge_databases(
    project: Project,
    match: SessionMatch,
    purposes: Sequence[Purpose],
    settings: Settings,
    removal: Removal,
    advance: Advance,
) -> tuple[dict[str, int], list[Path]]:
    """Remove its rows; return their counts by purpose, and the files that may still have some."""
    removed: dict[str, int] = {}
    left_in: list[Path] = []
    present = [purpose for purpose in purposes if project.database(purpose.file).exists()]
    if not present:
        return removed, left_in
    change, timeout = partial(_without_session, match), settings.store_busy_timeout_seconds
    with staging(project) as folder:
        for purpose in present:
            path = project.database(purpose.file)
            try:
                # Also where nothing goes: what was deleted before may have left its bytes.
                announce = partial(removal.announce, purpose)
                total, is_emptied = erase(path, purpose, change, folder, timeout, advance, announce)
            except StoreDamagedError:
                # It must not keep the session in all others.
                left_in.append(path)
                continue
            if total.removed:
                removed[purpose.name] = total.removed
            if not is_emptied:
                left_in.append(path.with_name(f"{path.name}-wal"))
    return removed, left_in


class _MirrorPurge:
    """Finds the files of the mirror that a session may be in; each is read once."""

    def __init__(self, match: SessionMatch) -> None:
        # Damaged files that may be the session's, by their names.
        self.unclear: set[Path] = set()
        self._match = match
        self._mentions: dict[Path, bool] = {}
        self._owners: dict[Path, str | None] = {}

    def purge_mirror(
        self, project: Project, purpose: Purpose, settings: Settings, advance: Advance
    ) -> None:
        for looked_at in copies.revise(
            project,
            purpose,
            partial(_without_session, self._match),
            settings.store_busy_timeout_seconds,
            is_meant=partial(self._is_meant, purpose),
            mend=partial(self._mend, purpose),
            with_unfinished=True,
            is_synced=False,
        ):
            advance(looked_at)

    def _is_meant(self, purpose: Purpose, path: Path) -> bool:
        # What names no session, and one whose id is a number, is in the stream of none.
        sessions = (self._match.id, NO_SESSION)
        return (
            not purpose.is_stream
            or any(_is_named_for(path, purpose, id) for id in sessions)
            or self._is_in(path)
        )

    def _is_in(self, path: Path) -> bool:
        if path not in self._mentions:
            self._mentions[path] = False
            with suppress(FileNotFoundError):
                lines = packed_streams.lines(path)
                self._mentions[path] = any(self._match.is_in(line.content) for line in lines)
        return self._mentions[path]

    def _mend(self, purpose: Purpose, path: Path, content: bytes) -> bytes | None:
        if named_in(content) is not None or self._match.owns_bytes(content):
            return None if self._match.owns_bytes(content) else content
        if not purpose.is_stream:
            return content
        owner = self._owner(path)
        if owner is None and _is_named_for(path, purpose, self._match.id):
            self.unclear.add(path)
        return None if owner == self._match.id else content

    def _owner(self, path: Path) -> str | None:
        """Return the session of a stream, by its first sound line."""
        if path not in self._owners:
            self._owners[path] = (owner_of(path) or ("", None))[1]
        return self._owners[path]


def _is_named_for(path: Path, purpose: Purpose, session_id: str) -> bool:
    day_and_ending = names.split(path.name, purpose)
    return day_and_ending is not None and day_and_ending[1] in names.endings(
        session_id, purpose.name
    )


def _without_session(match: SessionMatch, row: StoredRow) -> StoredRow | None:
    return None if match.owns(row) else row
