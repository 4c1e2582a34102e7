"""Records that their database cannot take: put into the spool, as the hook puts events there."""

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist import settings as configuration
from khive_persist.capture import spool_writer
from khive_persist.capture.drainer_start import wake_drainer
from khive_persist.capture.fallback_spool import reason
from khive_persist.capture.record_file import (
    RecordFile,
    SpooledRecord,
    decode,
    digest,
    encode,
    file_of,
    is_of,
)
from khive_persist.capture.spool import Spool
from khive_persist.errors import (
    CaptureError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreNewerError,
    StoreUnavailableError,
)
from khive_persist.files import read_regular
from khive_persist.mirror.document import to_row
from khive_persist.mirror.mirror import Mirror
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import load_redactor, redact_row
from khive_persist.store.sqlite.rows import read_ids

# SQLite holds no larger text.
_MOST_BYTES: Final = 1 << 31
# What passes, or somebody mends. Nothing was written where one of them is raised.
PASSING: Final = (
    StoreBusyError,
    StoreDamagedError,
    StoreFullError,
    StoreNewerError,
    StoreUnavailableError,
)

_log = logging.getLogger("khive_persist")
_starting = threading.Lock()


def spool_instead(
    project: Project, records: Sequence[Node], refusal: StoreError, *, are_new: bool
) -> None:
    """Put records into the spool of a project, as their database did not take them, and say so.

    They survive a power loss on return, and a drainer was woken. Call it in a thread. With
    `are_new` their ids were made just now, so that none was saved before.

    Raises:
        StoreError: The refusal: the spool does not take them either. None is kept.
    """
    try:
        settings = configuration.load(project.config)
        redactor = load_redactor(project, settings)
        rows = []
        for record in records:
            row = codec.to_row(record)
            rows.append(
                (record.purpose_of(record.content), redact_row(redactor, row) if redactor else row)
            )
        spool_records(project, rows, Mirror(project, settings), are_new=are_new)
    except OSError as error:
        refusal.hint = f"{refusal.hint}; nor does the spool take it: {error}".removeprefix("; ")
        raise refusal from error
    words = "1 record waits" if len(rows) == 1 else f"{len(rows)} records wait"
    _log.warning("%s in %s until it can be written to: %s", words, project.spool, refusal)
    # What embeds Python may stand there in its place.
    if Path(sys.executable).name.startswith("python"):
        with _starting, suppress(OSError):
            wake_drainer(str(project.root))


def spool_records(
    project: Project,
    rows: Sequence[tuple[Purpose, StoredRow]],
    mirror: Mirror,
    *,
    are_new: bool,
) -> None:
    """Put records into the spool of a project, in order: they survive a power loss on return.

    The next drain saves each under its id, unless somebody has saved that one since. `mirror` has a
    record's version where its database cannot be read. With `are_new` none was saved before.

    Raises:
        CaptureError: One cannot be kept; then none is.
    """
    spool = Spool(project)
    written_files: list[RecordFile] = []
    last_ns = 0
    try:
        for purpose, row in rows:
            # One after the other, whatever the clock does.
            last_ns = max(time.time_ns(), last_ns + 1)
            file = file_of(last_ns, row[0], purpose.name)
            replaces = () if are_new else _replaced(project, spool, purpose, row, mirror)
            content = encode(project.khive, file, SpooledRecord(row, replaces))
            written_files.append(file)
            os.close(spool_writer.keep(str(project.root), file.name, content))
    except BaseException as error:  # All come in, or none.
        for file in written_files:
            with suppress(OSError):
                spool.remove(file)
        if isinstance(error, OSError):
            raise CaptureError(f"{project.spool}: {reason(error)}") from error
        raise


def _replaced(
    project: Project, spool: Spool, purpose: Purpose, row: StoredRow, mirror: Mirror
) -> tuple[str, ...]:
    """Return the digests of the versions of a record that are known, those that wait too."""
    # The spool first: what is drained meanwhile is found in the database.
    versions: list[StoredRow] = []
    for file in spool.records():
        if is_of(file, row[0], purpose.name):
            with suppress(OSError, ValueError):
                versions.append(decode(project.khive, file, spool.read(file)).row)
    try:
        versions += read_ids(project.database(purpose.file), purpose.table, [row[0]])
    except StoreError:
        path = None if purpose.is_stream else mirror.path(purpose, row)
        with suppress(OSError, ValueError):
            if path is not None:
                versions.append(to_row(codec.load(read_regular(path, _MOST_BYTES)))[1])
    return tuple(map(digest, versions))
