"""Processes that save, change, move and delete records of both kinds, and say what was done."""

from collections import ChainMap

from tests.writers import Writer

# Each id has a number that grows. Some are deleted now and then, and come again; events move
# between the sessions that recorders write to, too.
ALL = (
    ("plan_changer", "a"), ("event_changer", "b"), ("recorder", "claude-code"),
    ("recorder", "codex"),
)  # fmt: skip


def acknowledged(writers: list[Writer]) -> dict[str, int]:
    """The last number that was said of each id that is never deleted."""
    said = [dict(line.split()[:2] for line in writer.acknowledged) for writer in writers]
    return {
        id: int(number)
        for id, number in ChainMap(*said).items()
        if not id.startswith(("plan-", "event-")) or "-kept-" in id
    }
