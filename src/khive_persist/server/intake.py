"""The intake of a server: what stores that which is sent, or keeps it safe until it is stored."""

from collections.abc import Callable

from anyio import to_thread

from khive_persist.capture.pauses import CurrentPauses, count_unrecorded
from khive_persist.capture.spool import Event
from khive_persist.project import Project
from khive_persist.recorder.client import LARGE, Recorder
from khive_persist.recorder.event_fallback import EventFallback
from khive_persist.recorder.framing import Content
from khive_persist.recorder.messages import Commit
from khive_persist.server.preparer import INLINE_BYTES, Preparer
from khive_persist.server.routes.metrics import Metrics


class Intake:
    """The intake of one server, for the route groups that write.

    Attributes:
        recorder: The client of the process that stores records.
        large_recorder: The client of the one that stores what comes in large bodies.
        preparer: The client of the one that reads those.
        event_fallback: The spool, for events that cannot be stored soon.
        pauses: The times in which nothing is recorded.
        metrics: The counters.
    """

    def __init__(
        self, project: Project, metrics: Metrics, on_commit: Callable[[Commit], None]
    ) -> None:
        """Start nothing yet; `on_commit` is called with each commit."""
        self.recorder = Recorder(project, on_commit)
        self.large_recorder = Recorder(project, on_commit, LARGE)
        self.preparer = Preparer(project)
        self.event_fallback = EventFallback(project)
        self.pauses = CurrentPauses(project)
        self.metrics = metrics

    async def recorder_of(self, size: int) -> Recorder:
        """Return the recorder of what comes in a body of some size."""
        if size <= INLINE_BYTES:
            return self.recorder
        try:
            await self.large_recorder.start_once()
        except OSError:
            # Too many processes run: the others wait for it rather than that it is lost.
            return self.recorder
        return self.large_recorder

    async def is_paused(self, event: Event, raw: Content) -> bool:
        """Return whether recording is off for an event, and count it then.

        Raises:
            ProjectError: The pauses cannot be read.
        """
        pauses = self.pauses.get()
        if pauses.is_empty:
            return False
        span = pauses.of_payload(bytes(raw), event.arrival_ns)
        if span is None:
            return False
        await to_thread.run_sync(count_unrecorded, span, event.arrival_ns)
        return True

    def request_count(self) -> int:
        """Return the number of requests to store so far."""
        return self.recorder.request_count + self.large_recorder.request_count

    def waiting_count(self) -> int:
        """Return the number of requests that wait for a commit."""
        return self.recorder.pending_count + self.large_recorder.pending_count

    async def close(self) -> None:
        """Wait for what was begun, and end the processes."""
        await self.preparer.close()
        await self.recorder.close()
        await self.large_recorder.close()
