"""Recovery of a mirror after a process was killed, or wrote to a database only."""

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from khive_persist.errors import KhiveError, StoreError
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rebuild import copy_missing
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log, migrations
from khive_persist.store.sqlite.connection import opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.mirror_progress import MIRROR, MirrorProgress
from khive_persist.store.sqlite.sync_writer import FileWriter

# So many are compared within a second or two, which opening a file can wait for.
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
        purposes: The purposes of the files; missing files are not made.
        most: The number of records above which a whole comparison is left to the drainer.
        wait_seconds: The longest wait for writers, where the settings allow a longer one.

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
            # A writer may mend what cannot be read, as a journal that a crash left.
            with suppress(StoreError):
                if _is_settled(project, purpose, mirror):
                    continue
            recover_file(project, purpose, mirror, timeout, most=most)
        except (KhiveError, OSError) as error:
            errors.append(error if isinstance(error, KhiveError) else KhiveError(str(error)))
    return errors


def _is_settled(project: Project, purpose: Purpose, mirror: Mirror) -> bool:
    """Return whether a file needs no recovery. It is only read, and no lock is awaited."""
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
) -> None:
    """Recover one file as `recover` does, made where it is missing.

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
        # What is committed from here on is copied by its committer.
        with writer.transaction() as writing:
            position = change_log.last(writing.connection)
        copy_missing(project, purpose)
        with writer.transaction() as writing:
            if change_log.positions(writing.connection).get(MIRROR) == change_log.BEHIND:
                change_log.set_position(writing.connection, MIRROR, position)
