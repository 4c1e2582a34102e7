"""Tell standard output: a terminal of some width or not, and whether it is to have colours."""

import os
import shutil
import sys


def is_screen() -> bool:
    """Return whether a person looks at standard output."""
    return sys.stdout.isatty()


def screen_width() -> int:
    """Return the cells of a line."""
    return shutil.get_terminal_size().columns


def wants_colour() -> bool | None:
    """Return whether output has colours: by NO_COLOR, then FORCE_COLOR; None where it depends.

    Both count where they are not empty: https://no-color.org, https://force-color.org.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return True if os.environ.get("FORCE_COLOR") else None
