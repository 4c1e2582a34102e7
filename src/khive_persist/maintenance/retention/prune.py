"""Removing what is too old or too much, and payloads that nobody needs any more."""

import hashlib
from collections.abc import Callable, Iterable
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
from khive_persist.store.sqlite.rewrite import Change, Revised, Where, boundary, rehearse, revise
from khive_persist.store.sqlite.vacuum import shrink
from khive_persist.store.staging import staging
from khive_persist.tombstones import Pruning, Tombstones

Advance = Callable[[int], None]

# A payload that is no larger is a small fact itself.
FAT_PAYLOAD_BYTES: Final = 1_024


class Pruned(NamedTuple):
    """The result of pruning one purpose; of a dry run, the one that there would be.

    Attributes:
        removed: How many records went.
        payloads: How many lost their payload only.
        freed_bytes: How many bytes of JSON that were, in the database.
        file_bytes_before: The size of the database before.
        file_bytes: Its size now; the same in a dry run.
    """

    removed: int
    payloads: int
    freed_bytes: int
    file_bytes_before: int
    file_bytes: int


def prune(
    project: Project,
    purpose: Purpose,
    rule: Rule,
    settings: Settings,
    *,
    now: datetime | None = None,
    dry_run: bool = False,
    advance: Advance = lambda _: None,
) -> Pruned:
    """Apply a rule to a database and its mirror: committed, synced and copied on return.

    Records whose time cannot be read stay. Killed, the next prune finds the rest. The database file
    gets smaller by the pages that were freed. What was pruned does not come back from transcripts.

    Args:
        project: Where.
        purpose: Which records.
        rule: What stays of them.
        settings: Those of the project.
        now: The instant that ages are counted from.
        dry_run: Only count.
        advance: Called with the number of records that were looked at since.

    Raises:
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file of the mirror cannot be written.
    """
    path = project.database(purpose.file)
    if not path.exists():
        return Pruned(0, 0, 0, 0, 0)
    before = path.stat().st_size
    instant = now or clock.now()
    limit = _limit(project, purpose, rule, instant)
    payload_age = rule.keep_payload_age
    thin = clock.to_text(instant - payload_age) if payload_age is not None else ""
    change = partial(_change, limit, thin)
    where = Where(
        "{created_at} < ? OR ({created_at} = ? AND id < ?)", (max(limit[0], thin), *limit)
    )
    if dry_run:
        total = _sum(rehearse(path, purpose, change, where), advance)
    else:
        # Records that come later are newer, whatever is kept.
        until = min(limit[0], clock.to_text(instant))
        total = _revise_both(project, purpose, change, where, until, settings, advance)
    after = path.stat().st_size
    return Pruned(total.removed, total.changed, total.freed_bytes, before, after)


def _revise_both(
    project: Project,
    purpose: Purpose,
    change: Change,
    where: Where,
    until: str,
    settings: Settings,
    advance: Advance,
) -> Revised:
    """Prune both copies; what is as old as `until` does not come back."""
    path, timeout = project.database(purpose.file), settings.store_busy_timeout_seconds
    earlier = Tombstones.load(project).pruning(purpose.name)
    _note(project, purpose, Pruning(until, is_done=False))
    touched = _Touched(purpose, change)
    total = _sum(revise(path, purpose, touched.change, timeout, where), advance)
    # Of a prune that did not come to its end, nobody knows where the mirror has more.
    is_known = earlier is not None and earlier.is_done
    last_day = where.values[0][:10].replace("-", "_")
    for looked_at in copies.revise(
        project,
        purpose,
        change,
        timeout,
        is_meant=lambda copy: not is_known or touched.may_be_in(copy, last_day),
    ):
        advance(looked_at)
    if total.removed or total.changed:
        with staging(project) as folder:
            # Payloads are parts of pages, which only get full again when all are written anew.
            shrink(path, purpose, folder, timeout, thoroughly=total.changed > 0)
    _note(project, purpose, Pruning(until, is_done=True))
    return total


def _note(project: Project, purpose: Purpose, pruning: Pruning) -> None:
    tombstones.note(project, lambda stones: stones.with_pruning(purpose.name, pruning))


def _sum(batches: Iterable[Revised], advance: Advance) -> Revised:
    total = Revised()
    for batch in batches:
        total = total.plus(batch)
        advance(batch.looked_at)
    return total


class _Touched:
    """Which files of the mirror may have copies of the rows that a prune has changed."""

    def __init__(self, purpose: Purpose, change: Change) -> None:
        self._purpose = purpose
        self._change = change
        self._endings: set[str] = set()

    def change(self, row: StoredRow) -> StoredRow | None:
        """Change a row as the prune does, and remember how its file may be called."""
        new = self._change(row)
        if new != row:
            id = session_of(row) if self._purpose.is_stream else row[0]
            self._endings.update(names.endings(id, self._purpose.name))
        return new

    def may_be_in(self, path: Path, last_day: str) -> bool:
        """Whether a file may have such a copy: by its day, or the session that it is named for."""
        found = names.split(path.name, self._purpose)
        if found is None:
            return False
        return found[0] <= last_day or found[1] in self._endings


def _limit(project: Project, purpose: Purpose, rule: Rule, now: datetime) -> tuple[str, str]:
    """The time and the id that the oldest record has which stays; what is below goes."""
    limits = [("", "")]
    if rule.keep_age is not None:
        limits.append((clock.to_text(now - rule.keep_age), ""))
    if rule.keep_count is not None or rule.keep_bytes is not None:
        found = boundary(
            project.database(purpose.file),
            purpose.table,
            keep_count=rule.keep_count,
            keep_bytes=rule.keep_bytes,
        )
        limits.append(found or ("", ""))
    return max(limits)


def _change(limit: tuple[str, str], thin: str, row: StoredRow) -> StoredRow | None:
    instant = clock.from_column(row[3])
    if instant is None:
        return row
    text = clock.to_text(instant)
    if (text, row[0]) < limit:
        return None
    return without_payload(row) if text < thin else row


def without_payload(row: StoredRow) -> StoredRow:
    """A row whose content has, in place of a fat `payload`, its size and SHA-256.

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
