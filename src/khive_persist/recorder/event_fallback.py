"""The fallback of an event that its database does not take in time: the spool, as from a hook.

The event has one id from its arrival on. So a commit that comes late, or came and could not be
mirrored, and the spool's own drain later, store it once.
"""

import os
import threading

from khive_persist.capture import spool_writer
from khive_persist.capture.drainer_start import wake_drainer
from khive_persist.capture.spool import Event, parse
from khive_persist.errors import CaptureError
from khive_persist.project import Project


def new_event(tool: str) -> Event:
    """Return an event that arrives at this moment."""
    event = parse(spool_writer.file_name(tool, True))
    assert event is not None
    return event


class EventFallback:
    """The spool of a project, and behind it that of the home directory."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._waking = threading.Lock()

    def save(self, event: Event, raw: bytes) -> None:
        """Save an event in the project's spool, else in that of the home directory.

        It survives a power loss on return, and a drainer was woken. Call it in a thread.

        Raises:
            CaptureError: Neither takes it.
        """
        root = str(self._project.root)
        try:
            os.close(spool_writer.keep(root, event.name, raw))
        except OSError as error:
            home = spool_writer.home()
            if not home or home == root:
                raise CaptureError(f"{self._project.spool}: {error.strerror}") from error
            try:
                os.close(
                    spool_writer.keep_away(home, os.path.realpath(root), event.name, raw, None)
                )
            except OSError as second:
                raise CaptureError(
                    f"{self._project.spool}: {error.strerror}; {home}/.khive: {second.strerror}"
                ) from second
            root = home
        self.wake_drainer(root)

    def wake_drainer(self, root: str) -> None:
        """Wake the drainer of the spool below a directory, or start one. Call it in a thread."""
        with self._waking:
            wake_drainer(root)
