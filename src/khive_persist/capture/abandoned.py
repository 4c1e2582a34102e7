"""Find the unfinished files that a process left in a spool when it ended."""

import fcntl
import os
import signal
import stat
import time
from typing import Final

# No hook lives for longer than its own deadline of two seconds, and no record takes as long.
_ABANDONED_SECONDS: Final = 60.0


def is_abandoned(path: str) -> bool:
    """Return whether a regular file is older than its writer can be, and nobody writes to it.

    A clock that jumps makes a new file look old, or of a time to come. So its age alone does not
    count where the system knows who has a file open.

    Raises:
        OSError: It is gone, or cannot be looked at.
    """
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        return False
    return abs(time.time() - status.st_mtime) >= _ABANDONED_SECONDS and not _has_writer(path)


def _has_writer(path: str) -> bool:
    """Return whether a process has a file open for writing; False where the system cannot say.

    A lease for reading is refused while there is one (fcntl(2)).
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Its own signal would end us, should somebody open the file just now.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        # A file system without leases, or another user's file.
        return False
    finally:
        os.close(descriptor)
    return False
