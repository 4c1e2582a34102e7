"""Rebuild the databases, and wait on stdin once the mirror is read."""

import sys

from khive_persist.copies import mirrored
from khive_persist.mirror.database_builder import DatabaseBuilder
from khive_persist.mirror.rebuild import rebuild_databases
from khive_persist.project import Project

read = DatabaseBuilder.read


def read_and_wait(self: DatabaseBuilder) -> None:
    read(self)
    print("read", flush=True)
    sys.stdin.readline()


DatabaseBuilder.read = read_and_wait  # type: ignore[method-assign]
project = Project(sys.argv[1])
assert rebuild_databases(project, mirrored(project), may_discard=lambda _: True).is_equal
