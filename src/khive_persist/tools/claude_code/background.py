"""Read how a call in the background ended, as Claude Code tells the model later."""

from collections.abc import Mapping
from typing import Any, Final

from khive_persist.tools.message_part import mapping_of
from khive_persist.tools.task_notification import end_in

_KIND: Final = "task-notification"


def background_end(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the end of a call, where a line tells it; None for any other line.

    Only the client's own notices count: what a command wrote may look like one.
    """
    if mapping_of(document.get("origin")).get("kind") != _KIND:
        return None
    text = mapping_of(document.get("message")).get("content")
    return end_in(text) if isinstance(text, str) else None
