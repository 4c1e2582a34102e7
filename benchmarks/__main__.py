"""python -m benchmarks [--only GROUP] [--rows N] [--messages N] …: measure, print Markdown."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable

from benchmarks import (
    asking,
    bulk,
    claude_session,
    collect,
    disk,
    draining,
    first_event,
    hooks,
    postgres,
    processes,
    saving,
    search,
    serving,
    syncing,
)
from benchmarks.table import Line, markdown


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
    parser.add_argument(
        "--messages",
        type=int,
        default=search.MESSAGES,
        help=f"messages to search (default {search.MESSAGES:,}, which take 9 GB for a while)",
    )
    parser.add_argument("--only", choices=_groups(parser.parse_args([])), help="one group of rows")
    arguments = parser.parse_args()
    groups = _groups(arguments)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # The marks of what is made here go with it.
        os.environ["KHIVE_HOME"] = home
        names = [arguments.only] if arguments.only else groups
        lines = [line for name in names for line in groups[name]()]
    print(markdown(lines))
    return 0 if all(line.passes for line in lines) else 1


def _groups(arguments: argparse.Namespace) -> dict[str, Callable[[], list[Line]]]:
    """Return what measures each group of rows, in their order."""
    return {
        "hooks": lambda: hooks.measure(arguments.runs),
        "claude_session": lambda: claude_session.measure(max(arguments.runs // 10, 3)),
        "processes": lambda: processes.measure(arguments.runs),
        "draining": draining.measure,
        "first_event": lambda: first_event.measure(arguments.files),
        "disk": disk.measure,
        "syncing": syncing.measure,
        "saving": saving.measure,
        "bulk": lambda: bulk.measure(arguments.many),
        "serving": serving.measure,
        "collect": collect.measure,
        "asking": lambda: asking.measure(arguments.rows),
        "postgres": lambda: postgres.measure(arguments.rows),
        "search": lambda: search.measure(arguments.messages),
    }


if __name__ == "__main__":
    sys.exit(main())
