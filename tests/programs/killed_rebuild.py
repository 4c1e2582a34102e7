"""Rebuild in one direction, and die at an operation on files; print how many there are."""

import os
import signal
import sys

from khive_persist.copies import mirrored
from khive_persist.mirror import rebuild
from khive_persist.project import Project

OPERATIONS = {
    "open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree",
    "os.truncate", "fcntl.flock", "sqlite3.connect",
}  # fmt: skip
project, last, count = Project(sys.argv[1]), int(sys.argv[3]), 0
purposes = mirrored(project)


def look(operation: str, _: object) -> None:
    global count
    if operation in OPERATIONS:
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(look)
assert getattr(rebuild, sys.argv[2])(project, purposes).is_equal
print(count)
