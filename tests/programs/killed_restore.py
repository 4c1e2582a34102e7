"""Restore the latest backup, and die at an operation in `.khive`; print where the journal came."""

import os
import signal
import sys

from khive_persist.cli.root import run

ROOT, LEFT, DESTINATION, JOURNAL = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
OPERATIONS = {
    "open",
    "os.rename",
    "os.link",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "sqlite3.connect",
}
count, journal_at = 0, 0


def look(operation: str, arguments: tuple[object, ...]) -> None:
    global count, journal_at
    if operation in OPERATIONS and ".khive" in os.fsdecode(str(arguments[0])):
        count += 1
        if operation == "os.rename" and os.fsdecode(str(arguments[1])).endswith(JOURNAL):
            journal_at = count
        if count == LEFT:
            os.kill(os.getpid(), signal.SIGKILL)


command = ["--dir", ROOT, "backup", "restore", "latest", "--yes", "--destination", DESTINATION]
run(["--dir", ROOT, "backup", "list"])
sys.addaudithook(look)
code = run(command)
print(journal_at, count)
sys.exit(code)
