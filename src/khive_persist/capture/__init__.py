"""Bring events in: hook, spool, drain."""

from pathlib import Path


def hook_path() -> Path:
    """Return the script that an AI tool runs on every event."""
    return Path(__file__).with_name("hook.py")


def native_hook_path() -> Path | None:
    """Return the compiled hook of this installation; None where it has none.

    A wheel of a platform has one, and so has what pip builds where a C compiler is.
    """
    path = Path(__file__).with_name("khive-hook")
    return path if path.is_file() else None
