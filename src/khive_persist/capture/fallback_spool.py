"""The home directory's spool, which keeps events for projects that cannot take them, or not yet.

The drainer of the home and a drain of the project may move the same event at once. So one moves at
a time, by a lock that is held for one event: the other finds it gone from here, hence in its
project's spool.
"""

import errno
from contextlib import suppress
from typing import Final

from khive_persist.capture.record_file import RecordFile
from khive_persist.capture.spool import HANDOVER_LOCK, Event, Spool, is_for, split_away
from khive_persist.errors import CaptureError, KhiveError
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock

WAIT_SECONDS: Final = 10.0


def move_home_events(spool: Spool, project: Project) -> list[KhiveError]:
    """Move what waits in the home's spool for a project into that of the project.

    Returns:
        Why some wait on, one error a reason. What this user cannot read is nobody's: the home's
        own drain sets it aside.
    """
    errors: dict[str, KhiveError] = {}
    for event in spool.events():
        if not event.is_away:
            continue
        try:
            if is_for(spool.header(event), project):
                hand_over(spool, event, project)
        except (FileNotFoundError, PermissionError):
            continue
        except (OSError, KhiveError) as error:
            errors.setdefault(reason(error), waits(spool, event, error))
    return list(errors.values())


def hand_over(spool: Spool, event: Event, target: Project) -> None:
    """Move one event: it is synced in its project's spool before it goes from the home's.

    Nothing is done about one that is gone: whoever had the lock has moved it.

    Raises:
        OSError: It cannot be read here.
        CaptureError: It cannot be kept there.
        StoreError: Others held the lock for too long, or its file cannot be made.
    """
    with write_lock.held(spool.path / HANDOVER_LOCK, WAIT_SECONDS):
        try:
            _, payload = split_away(spool.read(event))
        except FileNotFoundError:
            return
        try:
            Spool(target).receive(event.name.removesuffix(".away") + ".event", payload)
        except OSError as error:
            raise CaptureError(f"{target.spool}: {reason(error)}") from error
        with suppress(FileNotFoundError):
            spool.remove(event)


def reason(error: Exception) -> str:
    """Return the reason for an error, without the file's name."""
    if isinstance(error, KhiveError):
        return str(error)
    return getattr(error, "strerror", None) or str(error)


def waits(spool: Spool, event: Event | RecordFile, error: Exception) -> KhiveError:
    """Return the error that names an event that waits on, and the reason."""
    if isinstance(error, KhiveError):
        return error
    hint = "close some files" if getattr(error, "errno", 0) in (errno.EMFILE, errno.ENFILE) else ""
    return CaptureError(f"{spool.path / event.name}: {reason(error)}", hint=hint)
