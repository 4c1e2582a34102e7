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


class FallbackSpool:
    """Move events from the home's spool into those of their projects."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def move_to(self, project: Project) -> list[KhiveError]:
        """Move what waits here for a project into its spool.

        Returns:
            Why some wait on, one error a reason. What this user cannot read is nobody's: the
            home's own drain sets it aside.
        """
        errors: dict[str, KhiveError] = {}
        for event in self._spool.events():
            if not event.is_away:
                continue
            try:
                if is_for(self._spool.header(event), project):
                    self.hand_over(event, project)
            except (FileNotFoundError, PermissionError):
                continue
            except (OSError, KhiveError) as error:
                errors.setdefault(reason(error), waits(self._spool, event, error))
        return list(errors.values())

    def hand_over(self, event: Event, target: Project) -> None:
        """Move one event: it is synced in its project's spool before it goes from here.

        Nothing is done about one that is gone: whoever had the lock has moved it.

        Raises:
            OSError: It cannot be read here.
            CaptureError: It cannot be kept there.
            StoreError: Others held the lock for too long, or its file cannot be made.
        """
        with write_lock.held(self._spool.path / HANDOVER_LOCK, WAIT_SECONDS):
            try:
                _, payload = split_away(self._spool.read(event))
            except FileNotFoundError:
                return
            try:
                Spool(target).receive(event.name.removesuffix(".away") + ".event", payload)
            except OSError as error:
                raise CaptureError(f"{target.spool}: {reason(error)}") from error
            with suppress(FileNotFoundError):
                self._spool.remove(event)


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
