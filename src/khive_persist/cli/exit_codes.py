"""The exit codes of `khive-persist`."""

from typing import Final

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
# A search that could not look, which is another thing than one that finds nothing.
UNREAD: Final = 3
INTERRUPTED: Final = 130
# As a shell names the end by SIGPIPE.
READER_LEFT: Final = 141
