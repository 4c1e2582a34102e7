"""python one_commit.py ROOT: the server's recorder, with a commit for each request."""

import sys

from khive_persist.server import commits, recording

if __name__ == "__main__":
    commits.BATCH_ROWS = 1  # type: ignore[misc]
    sys.exit(recording.main())
