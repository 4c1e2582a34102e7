"""Removal of records beyond a limit, and of payloads that are no longer needed."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock, tombstones
from khive_persist.maintenance.retention.rules import Rule
from khive_persist.mirror import names
from khive_persist.mirror import rewrite as copies
from khive_persist.mirror.stream_file import session_of
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite.rewrite import (
    Announce,
    Change,
    Revised,
    Selection,
    boundary,
    rehearse,
    revise,
)
from khive_persist.store.sqlite.rewrite import silent as unannounced
from khive_persist.store.sqlite.vacuum import shrink
from khive_persist.store.staging import staging
from khive_persist.threads import Advance, silent
from khive_persist.tombstones import Pruning, Tombstones

# A payload that is no larger is a small fact itself.
FAT_PAYLOAD_BYTES: Final = 1_024


class Pruned(NamedTuple):
    """The result of pruning one purpose; of a dry run, the one that there would be.

    Attributes:
        removed: The number of records removed.
        payloads: The number of records that lost their payload only.
        freed_bytes: The bytes of JSON that were removed from the database.
        file_bytes_before: The size of the database before.
        file_bytes: The size of the database now; the same in a dry run.
        index_is_clean: Whether the index of the search has nothing of it.
    """

    removed: int
    payloads: int
    freed_bytes: int
    file_bytes_before: int
    file_bytes: int
    index_is_clean: bool = True


def prune(
    project: Project,
    purpose: Purpose,
    rule: Rule,
    settings: Settings,
    *,
    as_of: datetime | None = None,
    dry_run: bool = False,
    advance: Advance = silent,
    announce: Announce = unannounced,
) -> Pruned:
    """Apply a rule to a database and its mirror, as `removal.prune` says.

    The index of the search is told by `announce`, and brought up to date by the caller.

    The database file gets smaller by the pages that were freed. What was pruned does not come back
    from transcripts. Ages are counted from `as_of`, or from now.
    """
    path = project.database(purpose.file)
    if not path.exists():
        return Pruned(0, 0, 0, 0, 0)
    size_before = path.stat().st_size
    instant = as_of or clock.now()
    limit = _limit(project, purpose, rule, instant)
    payload_age = rule.keep_payload_age
    payload_limit = clock.to_text(instant - payload_age) if payload_age is not None else ""
    change = partial(_change, limit, payload_limit)
    condition = Selection(
        "{created_at} < ? OR ({created_at} = ? AND id < ?)", (max(limit[0], payload_limit), *limit)
    )
    if dry_run:
        total = total_of(rehearse(path, purpose, change, condition), advance)
    else:
        # Records that come later are newer, whatever is kept.
        until = min(limit[0], clock.to_text(instant))
        total = _revise_both(
            project, purpose, change, condition, until, settings, advance, announce
        )
    size_after = path.stat().st_size
    return Pruned(total.removed, total.changed, total.freed_bytes, size_before, size_after)


def _revise_both(
    project: Project,
    purpose: Purpose,
    change: Change,
    condition: Selection,
    pruned_until: str,
    settings: Settings,
    advance: Advance,
    announce: Announce,
) -> Revised:
    """Prune both copies; what is as old as `pruned_until` does not come back."""
    path, timeout = project.database(purpose.file), settings.store_busy_timeout_seconds
    previous = Tombstones.load(project).pruning(purpose.name)
    _note(project, purpose, Pruning(pruned_until, is_done=False))
    changed_files = _ChangedFiles(purpose, change)
    total = total_of(
        revise(path, purpose, changed_files.change, timeout, condition, announce), advance
    )
    # After a prune that was not completed, any file of the mirror may have more.
    is_known = previous is not None and previous.is_done
    last_day = condition.values[0][:10].replace("-", "_")
    for looked_at in copies.revise(
        project,
        purpose,
        change,
        timeout,
        is_meant=lambda copy: not is_known or changed_files.may_be_in(copy, last_day),
    ):
        advance(looked_at)
    if total.removed or total.changed:
        with staging(project) as folder:
            # Payloads are parts of pages, which only get full again when all are written anew.
            shrink(path, purpose, folder, timeout, thoroughly=total.changed > 0)
    _note(project, purpose, Pruning(pruned_until, is_done=True))
    return total


def _note(project: Project, purpose: Purpose, pruning: Pruning) -> None:
    tombstones.note(project, lambda stones: stones.with_pruning(purpose.name, pruning))


def total_of(batches: Iterable[Revised], advance: Advance = silent) -> Revised:
    """Add up the counts of all batches."""
    total = Revised()
    for batch in batches:
        total = total.plus(batch)
        advance(batch.looked_at)
    return total


class _ChangedFiles:
    """The files of the mirror that may have copies of the rows that a prune has changed."""

    def __init__(self, purpose: Purpose, change: Change) -> None:
        self._purpose = purpose
        self._change = change
        self._endings: set[str] = set()

    def change(self, row: StoredRow) -> StoredRow | None:
        """Change a row as the prune does, and remember the names that its file may have."""
        revised = self._change(row)
        if revised != row:
            id = session_of(row) if self._purpose.is_stream else row[0]
            self._endings.update(names.endings(id, self._purpose.name))
        return revised

    def may_be_in(self, path: Path, last_day: str) -> bool:
        """Return whether a file may have such a copy, by the day or the session in its name."""
        day_and_ending = names.split(path.name, self._purpose)
        if day_and_ending is None:
            return False
        return day_and_ending[0] <= last_day or day_and_ending[1] in self._endings


def _limit(project: Project, purpose: Purpose, rule: Rule, instant: datetime) -> tuple[str, str]:
    """Return the time and the id that the oldest record has which stays; what is below goes."""
    limits = [("", "")]
    if rule.keep_age is not None:
        limits.append((clock.to_text(instant - rule.keep_age), ""))
    if rule.keep_count is not None or rule.keep_bytes is not None:
        oldest_kept = boundary(
            project.database(purpose.file),
            purpose.table,
            keep_count=rule.keep_count,
            keep_bytes=rule.keep_bytes,
        )
        limits.append(oldest_kept or ("", ""))
    return max(limits)


def _change(limit: tuple[str, str], payload_limit: str, row: StoredRow) -> StoredRow | None:
    instant = clock.from_column(row[3])
    if instant is None:
        return row
    text = clock.to_text(instant)
    if (text, row[0]) < limit:
        return None
    return without_payload(row) if text < payload_limit else row


def without_payload(row: StoredRow) -> StoredRow:
    """Return a row whose content has, in place of a fat `payload`, its size and SHA-256.

    Content that has none, a small one, or lost it before, stays as it is.
    """
    content = codec.column(row[1])
    if not isinstance(content, dict) or "payload" not in content:
        return row
    payload: Any = content["payload"]
    text = codec.dump_lossy(payload).encode()
    if len(text) <= FAT_PAYLOAD_BYTES:
        return row
    size, digest = len(text), hashlib.sha256(text).hexdigest()
    marks = content.get("metadata")
    content = content | {
        "payload": {"dropped": {"bytes": size, "sha256": digest}},
        "metadata": (marks if isinstance(marks, dict) else {}) | {"payload_dropped": True},
    }
    return (row[0], codec.dump_lossy(content), *row[2:])
