"""Redacting what was stored before a kind of secret was known, or while redaction was off."""

import base64
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from khive_persist.capture.previews import shorten, texts_of, with_whole_texts
from khive_persist.capture.record_file import decode, encode
from khive_persist.capture.spool import DRAIN_LOCK, Spool
from khive_persist.maintenance.retention.prune import total_of
from khive_persist.mirror import packed_streams, scan
from khive_persist.mirror import rewrite as copies
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project, write_private
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import redact_row, redacted_counts, with_counts
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.rewrite import Announce, rehearse
from khive_persist.store.sqlite.rewrite import silent as unannounced
from khive_persist.store.sqlite.vacuum import erase
from khive_persist.store.staging import staging
from khive_persist.threads import Advance, silent


class Rescanned(NamedTuple):
    """Secrets that were found in the records of one purpose.

    Attributes:
        looked_at: The number of records that it has.
        changed: The number of records that had a secret in them.
        kinds: The number of secrets of each kind.
        log_is_empty: Whether the write-ahead log was emptied; while another program reads all the
            time, it keeps old pages.
        index_is_clean: Whether the index of the search has nothing of the secrets.
    """

    looked_at: int
    changed: int
    kinds: dict[str, int]
    log_is_empty: bool
    index_is_clean: bool = True


def rescan(
    project: Project,
    purpose: Purpose,
    redactor: Redactor,
    settings: Settings,
    *,
    dry_run: bool = False,
    advance: Advance = silent,
    announce: Announce = unannounced,
) -> Rescanned:
    """Take secrets out of every record of a purpose, as `removal.rescan` says.

    The index of the search is told by `announce`, and brought up to date by the caller.

    The database is written anew, so that none is left in free pages. Of the mirror, what is torn or
    damaged is redacted as text, and unfinished files go. Placeholders stay.
    """
    path = project.database(purpose.file)
    kinds: dict[str, int] = {}
    timeout = settings.store_busy_timeout_seconds
    if not path.exists():
        if not dry_run:
            _rescan_mirror(project, purpose, redactor, timeout, advance)
        return Rescanned(0, 0, kinds, True)
    count_and_redact, is_empty = partial(_redacted, redactor, kinds), True
    if dry_run:
        total = total_of(rehearse(path, purpose, count_and_redact), advance)
    else:
        # Also where none is found: what was deleted before may have left its bytes.
        with staging(project) as folder:
            total, is_empty = erase(
                path, purpose, count_and_redact, folder, timeout, advance, announce
            )
        _rescan_mirror(project, purpose, redactor, timeout, advance)
    return Rescanned(total.looked_at, total.changed, dict(sorted(kinds.items())), is_empty)


def rescan_waiting(project: Project, redactor: Redactor, timeout_seconds: float) -> int:
    """Remove secrets from pending records in the spool: synced on return. Return how many had one.

    Events there are as they came: they are redacted when they are drained.

    Raises:
        StoreBusyError: A drain ran for too long.
        ProjectError: The key of this user's MACs cannot be read.
        OSError: One cannot be written.
    """
    spool = Spool(project)
    if not spool.records():
        return 0
    count = 0
    with write_lock.held(spool.path / DRAIN_LOCK, timeout_seconds):
        for file in spool.records():
            # Not ours, or not whole: the drain sets it aside.
            with suppress(ValueError, FileNotFoundError):
                record = decode(project.khive, file, spool.read(file))
                row = redact_row(redactor, record.row)
                if row != record.row:
                    content = encode(project.khive, file, record._replace(row=row))
                    write_private(spool.path / file.name, content)
                    count += 1
    return count


def secrets_beside(project: Project, redactor: Redactor) -> list[Path]:
    """Return the foreign files in `sessions/` that have secrets in them. They are left alone."""
    folder = project.sessions
    return [
        path
        for path in (folder / file for file in scan.files(folder))
        if any(copy.problem == scan.NOT_OURS for copy in scan.read(folder, path.name))
        and packed_streams.is_file(path)
        and redactor.redact_bytes(path.read_bytes())[1]
    ]


def _rescan_mirror(
    project: Project, purpose: Purpose, redactor: Redactor, timeout_seconds: float, advance: Advance
) -> None:
    change = partial(_redacted, redactor, {})
    mend = partial(_without_secrets, redactor)
    for looked_at in copies.revise(
        project, purpose, change, timeout_seconds, mend=mend, with_unfinished=True
    ):
        advance(looked_at)


def _without_secrets(redactor: Redactor, _: Path, content: bytes) -> bytes:
    return redactor.redact_bytes(content)[0]


def _redacted(redactor: Redactor, kinds: dict[str, int], row: StoredRow) -> StoredRow:
    redacted = redact_row(redactor, _without_secret_bytes(redactor, row))
    redacted = _with_previews_of_payload(row, redacted)
    counts_before, counts_after = redacted_counts(row[2]), redacted_counts(redacted[2])
    for kind, count in counts_after.items():
        if count > counts_before.get(kind, 0):
            kinds[kind] = kinds.get(kind, 0) + count - counts_before.get(kind, 0)
    return redacted


def _with_previews_of_payload(row: StoredRow, redacted: StoredRow) -> StoredRow:
    """Return a row whose cut fields are those of the redacted payload.

    A secret that a preview ends within is not known there for one.
    """
    content, redacted_content = codec.column(row[1]), codec.column(redacted[1])
    if redacted == row or not isinstance(content, dict) or not isinstance(redacted_content, dict):
        return redacted
    whole_texts, redacted_texts = with_whole_texts(content), texts_of(redacted_content)
    cut = {name for name, text in whole_texts.items() if text != content[name]}
    fields = {name: redacted_texts[name] for name in cut & redacted_texts.keys()}
    shorten(fields)
    if fields.items() <= redacted_content.items():
        return redacted
    other_fields = {name: value for name, value in redacted_content.items() if name != "payload"}
    beginning = codec.dump_lossy(other_fields)[:-1]
    renewed = codec.dump_lossy(other_fields | fields)[:-1]
    text = redacted[1] or ""
    if text.startswith(f'{beginning},"payload":'):
        # The payload stands last, as the text that came.
        return redacted[0], renewed + text[len(beginning) :], *redacted[2:]
    return redacted[0], codec.dump_lossy(redacted_content | fields), *redacted[2:]


def _without_secret_bytes(redactor: Redactor, row: StoredRow) -> StoredRow:
    """Return a row whose payload was no UTF-8 and stands as base64, with its bytes redacted."""
    content = codec.column(row[1]) if '"base64"' in (row[1] or "") else None
    if not isinstance(content, dict):
        return row
    payload = content.get("payload")
    if not isinstance(payload, dict) or payload.get("encoding") != "base64":
        return row
    try:
        raw = base64.b64decode(payload.get("data", ""), validate=True)
    except (ValueError, TypeError):
        return row
    raw, counts = redactor.redact_bytes(raw)
    if not counts:
        return row
    redacted_content = content | {"payload": payload | {"data": base64.b64encode(raw).decode()}}
    return row[0], codec.dump_lossy(redacted_content), with_counts(row[2], counts), row[3], row[4]
