"""The process that a hook starts to drain the spool: it stays for the burst, and leaves.

    python -m khive_persist.capture.drainer PROJECT PIPE

PIPE is the descriptor of the spool's `wake` pipe, open for reading. While any drainer holds it,
hooks write a byte into the pipe instead of starting one.
"""

import math
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from khive_persist.capture import home_store
from khive_persist.capture.drain import Drain
from khive_persist.capture.finished_sessions import size_of
from khive_persist.capture.spool import DRAINER_LOCK
from khive_persist.errors import KhiveError
from khive_persist.files import write_private
from khive_persist.mirror.packing import pack_if_due
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.trust.processes import environment_for, module_command

# Events of one burst arrive within moments of each other: one commit serves them all. While they go
# on to come the syncs of the hooks wait for those of each commit, so there are fewer.
GATHER_SECONDS: Final = 0.02
LONGEST_GATHER_SECONDS: Final = 0.1
FIRST_RETRY_SECONDS: Final = 0.1
LONGEST_RETRY_SECONDS: Final = 5.0
GIVE_UP_SECONDS: Final = 300.0
ANOTHER_SECONDS: Final = 2.0
LAST_SYNC_SECONDS: Final = 60.0
# Where a budget is set, the transcript of a session at work is read so often.
WATCH_SECONDS: Final = 60.0
LONGEST_FOLLOWING_SECONDS: Final = 60.0
LONGEST_EMBEDDING_SECONDS: Final = 30.0
# As old as the last time.
WATCHED: Final = "watched.lock"
# The agent and its tools come first.
_NICENESS: Final = 10
# It uses what stands on a higher floor.
_LIMITS: Final = module_command("khive_persist.maintenance.retention.home_store")


def main() -> int:
    """Drain until nothing has come for `capture.linger_seconds`; then see to what is old."""
    os.chdir("/")
    os.umask(0o077)
    project, pipe = Path(sys.argv[1]), int(sys.argv[2])
    _close_others(pipe)
    try:
        with Drain(Project(project), is_timed=True) as drain:
            syncing = _Syncing(drain)
            _serve(drain, pipe, syncing)
            # From here on hooks start another drainer; what came until now is drained here.
            os.close(pipe)
            drain.run()
            syncing.finish()
            drain.recover()
        if home_store.is_due(drain.project, drain.settings):
            _start_process(_LIMITS, environment_for(drain.project.root))
        if _is_of_team(drain.project, drain.settings):
            _start_process(_push_command(drain.project), environment_for(drain.project.root))
        is_searched = os.path.lexists(drain.project.search_index)
        if is_searched:
            _prepare_search(drain.project)
        os.nice(_NICENESS)
        pack_if_due(drain.project, drain.settings)
        if is_searched:
            _follow(drain.project)
            _embed(drain.project, drain.settings)
        _renew_copies()
    except (KhiveError, OSError):
        # The events are in the spool: the next drain brings them in, and doctor says why not now.
        return 1
    return 0


def _serve(drain: Drain, pipe: int, syncing: "_Syncing") -> None:
    try:
        resident = write_lock.acquire(drain.spool.path / DRAINER_LOCK, ANOTHER_SECONDS)
    except KhiveError:
        return
    try:
        retry, gather = FIRST_RETRY_SECONDS, GATHER_SECONDS
        last_success = time.monotonic()
        while True:
            has_errors = _pass(drain)
            drain.tidy()
            syncing.start()
            if not has_errors:
                retry, last_success = FIRST_RETRY_SECONDS, time.monotonic()
                if _woken(pipe, 0):
                    gather = min(gather * 2, LONGEST_GATHER_SECONDS)
                elif _woken(pipe, drain.settings.capture_linger_seconds):
                    gather = GATHER_SECONDS
                else:
                    return
                time.sleep(gather)
            elif time.monotonic() - last_success > GIVE_UP_SECONDS or not drain.spool.path.exists():
                return
            else:
                _woken(pipe, retry)
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
    finally:
        os.close(resident)


class _Syncing:
    """Start `khive-persist sync` for sessions that have stopped, one at a time."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._waiting: dict[Path, None] = {}
        self._sizes: dict[Path, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start one for sessions that have ended since, unless one runs; they wait then."""
        self._take()
        if self._process is None or self._process.poll() is not None:
            self._start()

    def finish(self) -> None:
        """Start one for the sessions that wait, and those written after the last one was started.

        A tool may write the end of a transcript after its last hook.
        """
        self._take()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LAST_SYNC_SECONDS)
        grown_paths = [
            path for path, size in self._sizes.items() if size_of(path) not in (size, None)
        ]
        self._waiting |= dict.fromkeys(grown_paths)
        self._start()

    def _take(self) -> None:
        self._waiting |= dict.fromkeys(self._drain.take_ended())
        path = self._drain.project.khive / WATCHED
        is_due = self._drain.settings.has_budget and _age(path) >= WATCH_SECONDS
        if is_due and (watched := self._drain.take_watched()):
            self._waiting |= dict.fromkeys(watched)
            with suppress(OSError):
                write_private(path, b"", synced=False)

    def _start(self) -> None:
        # Some tools take their transcripts away; what was read of one stays.
        sizes = {path: size for path in self._waiting if (size := size_of(path)) is not None}
        self._waiting.clear()
        if not sizes or not self._drain.settings.sync_at_stop:
            return
        self._sizes |= sizes
        command = module_command("khive_persist.cli", "sync", "--", *map(str, sizes))
        self._process = _start_process(command, environment_for(self._drain.project.root))


def _age(path: Path) -> float:
    """Return the seconds since a file was written; infinite where it is missing, or of later."""
    with suppress(OSError):
        if (age := time.time() - os.stat(path).st_mtime) >= 0:
            return age
    return math.inf


def _start_process(command: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - paths of files, each a word of its own
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(os.nice, _NICENESS),
    )


def _is_of_team(project: Project, settings: Settings) -> bool:
    """Return whether records may leave for a team, or did; the process sees whether it is time."""
    return bool(settings.team_url) or os.path.lexists(project.team_ledger)


def _push_command(project: Project) -> list[str]:
    # It stands on a higher floor, and nobody here waits for a network.
    return module_command("khive_persist.team.run", str(project.root))


def _prepare_search(project: Project) -> None:
    """Do what takes the lock of others who write, before this process has its low priority."""
    # Nothing before it needs this module, and most projects not at all.
    from khive_persist.search_index import follow

    follow.acknowledge(project)


def _follow(project: Project) -> None:
    """Bring the index of the search up to date; where search is switched off, it is removed."""
    from khive_persist.search_index import follow

    with suppress(KhiveError):
        follow.catch_up(project, seconds=LONGEST_FOLLOWING_SECONDS, is_made=False, may_write=False)


def _embed(project: Project, settings: Settings) -> None:
    """Make vectors of what is new in the index; what fails is said by the next search."""
    if settings.search_semantic == "off":
        return
    from khive_persist.search_index.semantic.embedding import embed_new

    with suppress(KhiveError):
        embed_new(project, settings, LONGEST_EMBEDDING_SECONDS)


def _renew_copies() -> None:
    """Write the hook's copies anew where this package is newer, as after an upgrade."""
    # Nothing before it needs these modules.
    from khive_persist.capture.hook_config import native_copy

    native_copy.renew()


def _pass(drain: Drain) -> bool:
    """Drain once; return whether something waits that is worth another try."""
    try:
        return bool(drain.run().errors)
    except (KhiveError, OSError):
        return True


def _woken(pipe: int, seconds: float) -> bool:
    """Wait for a hook's byte; return whether one came."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if not poll.poll(seconds * 1000):
        return False
    # Another drainer that is about to leave may read it first; what it announced is in the spool.
    with suppress(BlockingIOError):
        os.read(pipe, 65_536)
    return True


def _close_others(pipe: int) -> None:
    # A descriptor that the tool let its hook inherit must not stay open for as long as we stay.
    os.closerange(3, pipe)
    os.closerange(pipe + 1, 4096)


if __name__ == "__main__":
    sys.exit(main())
