"""python -m benchmarks [--rows N] [--runs N]: measure, and print a Markdown table."""

import argparse
import sys

from benchmarks import asking, disk, draining, processes, saving, serving, syncing
from benchmarks.table import markdown


def main() -> int:
    """Measure everything; exit code 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="plans to ask (default 1,000,000)"
    )
    parser.add_argument("--runs", type=int, default=60, help="pairs of processes (default 60)")
    arguments = parser.parse_args()
    lines = [
        *processes.measure(arguments.runs),
        *draining.measure(),
        *disk.measure(),
        *syncing.measure(),
        *saving.measure(),
        *serving.measure(),
        *asking.measure(arguments.rows),
    ]
    print(markdown(lines))
    return 0 if all(line.passes for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
