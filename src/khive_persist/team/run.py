"""The process that pushes what is new of one project, and leaves.

    python -m khive_persist.team.run ROOT

A drainer starts it before it leaves, and a server now and then: neither waits for the network. Who
comes before it is time waits for that, one process a project, so that the last session of a day
leaves, too. What keeps it from sending is in the ledger: `team status` and `doctor` say it.
"""

import os
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Final

from khive_persist import settings as configuration
from khive_persist.errors import KhiveError
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import consumer_position, write_lock
from khive_persist.trust.processes import start_in_background

# Its time is that of the last try.
LOCK: Final = "push.lock"
_WAITING_LOCK: Final = "push_waiting.lock"
_SECONDS_A_MINUTE: Final = 60
# With a longer interval the next drainer starts another process.
_LONGEST_WAIT_SECONDS: Final = 600.0


def main() -> int:
    """Push once it is time; where nothing may leave any more, let the change logs keep nothing."""
    os.umask(0o077)
    os.chdir("/")
    project = Project(sys.argv[1])
    try:
        if not _is_over(project):
            _push(project)
    except (KhiveError, OSError):
        # The next one tries again, and the ledger has the reason.
        return 1
    return 0


def is_due(project: Project, settings: Settings) -> bool:
    """Return whether it is time for a push: `team.every_minutes` after the last try."""
    return _wait_seconds(project, settings) == 0


def start(project: Project) -> None:
    """Start the process; it goes on after its parent."""
    start_in_background("khive_persist.team.run", project.root)


def _is_over(project: Project) -> bool:
    """Wait for the time of the next push; return whether another process does so, or it is far."""
    seconds = _wait_seconds(project, configuration.load(project.config))
    if seconds is None or seconds == 0:
        return False
    turn = write_lock.try_acquire(project.khive / _WAITING_LOCK)
    if turn is None:
        return True
    try:
        if seconds > _LONGEST_WAIT_SECONDS:
            return True
        time.sleep(seconds)
    finally:
        os.close(turn)
    return False


def _wait_seconds(project: Project, settings: Settings) -> float | None:
    """Return the seconds until the next push; None where no process pushes."""
    if not settings.team_every_minutes or not settings.team_url:
        return None
    interval = settings.team_every_minutes * _SECONDS_A_MINUTE
    try:
        age = time.time() - os.stat(project.khive / LOCK).st_mtime
    except OSError:
        return 0.0
    return max(0.0, interval - age) if age >= 0 else 0.0


def _push(project: Project) -> None:
    # Who waits takes no room for them.
    import anyio

    from khive_persist.team import kinds
    from khive_persist.team.push import push

    settings = configuration.load(project.config)
    if not kinds.sends(settings):
        _stop_following(project, settings)
    elif settings.team_every_minutes:
        anyio.run(partial(push, project))


def _stop_following(project: Project, settings: Settings) -> None:
    """Let the change logs of all files keep nothing for a team."""
    from khive_persist.models.purpose_registry import known_purposes
    from khive_persist.team.reading import CONSUMER

    for purpose in known_purposes(project):
        path = project.database(purpose.file)
        if path.exists():
            # A file that cannot be read has no log that grows.
            with suppress(KhiveError):
                consumer_position.drop(path, purpose, CONSUMER, settings.store_busy_timeout_seconds)


if __name__ == "__main__":
    sys.exit(main())
