"""python one_commit.py ROOT: the server's recorder, with a commit for each request."""

import sys

from khive_persist.recorder import group_commit, process

if __name__ == "__main__":
    group_commit.BATCH_ROWS = 1  # type: ignore[misc]
    sys.exit(process.main())
