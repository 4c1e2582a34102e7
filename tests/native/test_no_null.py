"""A system without /dev/null, as a bare container: no line goes into an event."""

import subprocess
import time
from pathlib import Path

from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.compiled_hook import compiled

NO_NULL = Path(__file__).with_name("no_null.c")
SECONDS = 10.0


def test_a_late_line_goes_into_no_event(project: Project) -> None:
    program = compiled(("open", "openat", "fsync"), NO_NULL, "-DALL_SECONDS=0.5")
    words = [str(program), "--tool", "codex", "2>&-"]
    done = subprocess.run(
        ["/bin/sh", "-c", " ".join(["exec", *words])], input=b"{}", cwd=project.root, check=False
    )
    assert done.returncode == 1
    end = time.monotonic() + SECONDS
    # The child that goes on gives it its name.
    while not Spool(project).events() and time.monotonic() < end:
        time.sleep(0.01)
    (event,) = Spool(project).events()
    assert Spool(project).read(event) == b"{}"
