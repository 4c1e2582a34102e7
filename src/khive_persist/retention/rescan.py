"""Redacting what was stored before a kind of secret was known, or while redaction was off."""

import base64
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from khive_persist.capture.previews import shorten, texts_of, with_whole_texts
from khive_persist.mirror import revise as copies
from khive_persist.place import Place
from khive_persist.purposes import Purpose
from khive_persist.redaction import Redactor
from khive_persist.sealing import redacted_counts, seal, with_counts
from khive_persist.settings import Settings
from khive_persist.staging import staging
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite.revise import Revised, rehearse, revise
from khive_persist.store.sqlite.shrink import shrink

Advance = Callable[[int], None]


class Rescanned(NamedTuple):
    """Secrets that were found in the records of one purpose.

    Attributes:
        looked_at: How many records it has.
        changed: How many of them had a secret in them.
        kinds: How many secrets of which kind.
        log_is_empty: Whether the write-ahead log was emptied; while another program reads all the
            time, it keeps old pages.
    """

    looked_at: int
    changed: int
    kinds: dict[str, int]
    log_is_empty: bool


def rescan(
    place: Place,
    purpose: Purpose,
    redactor: Redactor,
    settings: Settings,
    *,
    dry_run: bool = False,
    advance: Advance = lambda _: None,
) -> Rescanned:
    """Take secrets out of every record, in database and mirror: synced on return.

    The database is written anew where one was found, so that none is left in free pages. Backups
    and `quarantine/` stay as they are. Killed, the next rescan goes on.

    Args:
        place: Where.
        purpose: Which records.
        redactor: What finds secrets; placeholders that are there are left.
        settings: Those of the place.
        dry_run: Only count.
        advance: Called with the number of records that were looked at since.

    Raises:
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file of the mirror cannot be written.
    """
    path = place.database(purpose.file)
    kinds: dict[str, int] = {}
    if not path.exists():
        return Rescanned(0, 0, kinds, True)
    timeout = settings.store_busy_timeout_seconds
    counting = partial(_sealed, redactor, kinds)
    if dry_run:
        work = rehearse(path, purpose, counting)
    else:
        for looked_at in copies.revise(place, purpose, partial(_sealed, redactor, {}), timeout):
            advance(looked_at)
        work = revise(path, purpose, counting, timeout)
    total = Revised()
    for batch in work:
        total = total.plus(batch)
        advance(batch.looked_at)
    is_empty = True
    if not dry_run and total.changed:
        with staging(place) as folder:
            is_empty = shrink(path, purpose, folder, timeout, thoroughly=True)
    return Rescanned(total.looked_at, total.changed, dict(sorted(kinds.items())), is_empty)


def _sealed(redactor: Redactor, kinds: dict[str, int], row: StoredRow) -> StoredRow:
    new = _with_previews_of_payload(row, seal(redactor, _without_secret_bytes(redactor, row)))
    before, after = redacted_counts(row[2]), redacted_counts(new[2])
    for kind, count in after.items():
        if count > before.get(kind, 0):
            kinds[kind] = kinds.get(kind, 0) + count - before.get(kind, 0)
    return new


def _with_previews_of_payload(row: StoredRow, new: StoredRow) -> StoredRow:
    """A row whose cut fields are those of the redacted payload.

    A secret that a preview ends within is not known there for one.
    """
    before, after = codec.column(row[1]), codec.column(new[1])
    if new == row or not isinstance(before, dict) or not isinstance(after, dict):
        return new
    whole, redacted = with_whole_texts(before), texts_of(after)
    cut = {name for name, text in whole.items() if text != before[name]} & redacted.keys()
    fields = {name: redacted[name] for name in cut}
    shorten(fields)
    if fields.items() <= after.items():
        return new
    rest = {name: value for name, value in after.items() if name != "payload"}
    beginning, renewed = codec.dump_lossy(rest)[:-1], codec.dump_lossy(rest | fields)[:-1]
    text = new[1] or ""
    if text.startswith(f'{beginning},"payload":'):
        # The payload stands last, as the text that came.
        return new[0], renewed + text[len(beginning) :], *new[2:]
    return new[0], codec.dump_lossy(after | fields), *new[2:]


def _without_secret_bytes(redactor: Redactor, row: StoredRow) -> StoredRow:
    """A row whose payload was no UTF-8 and stands as base64, with its bytes redacted."""
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
    changed = content | {"payload": payload | {"data": base64.b64encode(raw).decode()}}
    return row[0], codec.dump_lossy(changed), with_counts(row[2], counts), row[3], row[4]
