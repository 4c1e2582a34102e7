"""python -m benchmarks [--rows N] [--runs N] [--many N] [--files N]: measure, print Markdown."""

import argparse
import os
import sys
import tempfile

from benchmarks import (
    asking,
    bulk,
    claude_session,
    disk,
    draining,
    first_event,
    hooks,
    processes,
    saving,
    serving,
    syncing,
)
from benchmarks.table import markdown


def main() -> int:
    """Measure everything; exit code 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="plans to ask (default 1,000,000)"
    )
    parser.add_argument("--runs", type=int, default=60, help="pairs of processes (default 60)")
    parser.add_argument(
        "--many", type=int, default=bulk.MANY, help=f"plans to save (default {bulk.MANY:,})"
    )
    parser.add_argument(
        "--files",
        type=int,
        default=first_event.FILES,
        help=f"session files beside a drainer (default {first_event.FILES:,})",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # The marks of what is made here go with it.
        os.environ["KHIVE_HOME"] = home
        lines = [
            *hooks.measure(arguments.runs),
            *claude_session.measure(max(arguments.runs // 10, 3)),
            *processes.measure(arguments.runs),
            *draining.measure(),
            *first_event.measure(arguments.files),
            *disk.measure(),
            *syncing.measure(),
            *saving.measure(),
            *bulk.measure(arguments.many),
            *serving.measure(),
            *asking.measure(arguments.rows),
        ]
    print(markdown(lines))
    return 0 if all(line.passes for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
