"""Bringing the mirror to what the databases have, where somebody was killed, or wrote past it."""

from collections.abc import Iterable
from typing import Final

from khive_persist.errors import KhiveError
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rebuild import copy_missing
from khive_persist.mirror.verify import Advance
from khive_persist.place import Place
from khive_persist.purposes import Purpose
from khive_persist.settings import Settings
from khive_persist.store.sqlite import change_log
from khive_persist.store.sqlite.file_writer import FileWriter
from khive_persist.store.sqlite.mirror_progress import MIRROR

# So many are compared within a second or two; who opens a file can wait for that.
FEW_RECORDS: Final = 5_000


def recover(
    place: Place, purposes: Iterable[Purpose], settings: Settings, *, most: int | None = None
) -> list[KhiveError]:
    """Open every database once: what was committed and not copied is copied on return.

    A file that others have written to, that was restored, or whose mirror was taken away, is
    compared with its mirror as a whole; what the mirror lacks, or has otherwise, is written.
    Records that only the mirror has stay there.

    Args:
        place: Where.
        purposes: Which files; those that are not there are not made.
        settings: Those of the place.
        most: Leave a whole comparison of more records than this to somebody who has the time.

    Returns:
        Why it could not be done, an error for each file.
    """
    errors = []
    mirror = Mirror(place, settings)
    for purpose in purposes:
        if not place.database(purpose.file).exists():
            continue
        try:
            recover_file(place, purpose, mirror, settings.store_busy_timeout_seconds, most=most)
        except (KhiveError, OSError) as error:
            errors.append(error if isinstance(error, KhiveError) else KhiveError(str(error)))
    return errors


def recover_file(
    place: Place,
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
    path = place.database(purpose.file)
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
        copy_missing(place, purpose, advance)
        with writer.transaction() as writing:
            if change_log.positions(writing.connection).get(MIRROR) == change_log.BEHIND:
                change_log.set_position(writing.connection, MIRROR, begin)
