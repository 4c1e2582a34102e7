"""Bring events in: hook, spool, drain."""

from pathlib import Path


def hook_path() -> Path:
    """Return the script that an AI tool runs on every event."""
    return Path(__file__).with_name("hook.py")
