"""Bringing the mirror to what the databases have, where somebody was killed, or wrote past it."""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from khive_persist.errors import KhiveError, StoreError
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rebuild import copy_missing
from khive_persist.mirror.verify import Advance
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log, migrations
from khive_persist.store.sqlite.connection import opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.mirror_progress import MIRROR, MirrorProgress
from khive_persist.store.sqlite.sync_writer import FileWriter

# So many are compared within a second or two; who opens a file can wait for that.
FEW_RECORDS: Final = 5_000


def recover(
    project: Project,
    purposes: Iterable[Purpose],
    settings: Settings,
    *,
    most: int | None = None,
    wait_seconds: float = math.inf,
) -> list[KhiveError]:
    """Open every database once: what was committed and not copied is copied on return.

    A file that others have written to, that was restored, or whose mirror was taken away, is
    compared with its mirror as a whole; what the mirror lacks, or has otherwise, is written.
    Records that only the mirror has stay there.

    Args:
        project: Where.
        purposes: Which files; those that are not there are not made.
        settings: Those of the project.
        most: Leave a whole comparison of more records than this to somebody who has the time.
        wait_seconds: How long to wait for who writes, where the settings say longer.

    Returns:
        Why it could not be done, an error for each file.
    """
    errors = []
    mirror = Mirror(project, settings)
    timeout = min(settings.store_busy_timeout_seconds, wait_seconds)
    for purpose in purposes:
        if not project.database(purpose.file).exists():
            continue
        try:
            # What cannot be read may be mended by who writes, as a journal that a crash left.
            with suppress(StoreError):
                if _is_settled(project, purpose, mirror):
                    continue
            recover_file(project, purpose, mirror, timeout, most=most)
        except (KhiveError, OSError) as error:
            errors.append(error if isinstance(error, KhiveError) else KhiveError(str(error)))
    return errors


def _is_settled(project: Project, purpose: Purpose, mirror: Mirror) -> bool:
    """Whether nothing is to be done with a file: it is only read, and nobody is waited for."""
    path = project.database(purpose.file)
    progress = MirrorProgress(path, purpose.table, mirror.follower(purpose))
    with opened_reader(path) as connection, translated(path):
        if migrations.version(connection) < change_log.SCHEMA:
            return False
        position = change_log.positions(connection).get(MIRROR)
        return progress.is_settled(connection) and position != change_log.BEHIND


def recover_file(
    project: Project,
    purpose: Purpose,
    mirror: Mirror,
    busy_timeout_seconds: float,
    *,
    most: int | None = None,
    advance: Advance = lambda _: None,
) -> None:
    """As `recover`, of one file, made where it is missing.

    Raises:
        StoreError: As its subclasses say.
        MirrorError: The mirror cannot be written.
    """
    path = project.database(purpose.file)
    follower = mirror.follower(purpose)
    with FileWriter(path, purpose, busy_timeout_seconds, follower) as writer:
        writer.open()
        if isinstance(follower, str) or not writer.is_behind:
            return
        if most is not None and change_log.state(writer.connection).records > most:
            return
        # What is committed from here on is copied by who commits it.
        with writer.transaction() as writing:
            begin = change_log.last(writing.connection)
        copy_missing(project, purpose, advance)
        with writer.transaction() as writing:
            if change_log.positions(writing.connection).get(MIRROR) == change_log.BEHIND:
                change_log.set_position(writing.connection, MIRROR, begin)
