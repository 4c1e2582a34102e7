"""Read how a call in the background ended, as Claude Code tells the model later."""

import re
from collections.abc import Mapping
from typing import Any, Final

from khive_persist.tools.message_part import mapping_of, present

_KIND: Final = "task-notification"
_FIELD: Final = "<{name}>([^<]*)</{name}>"
_EXIT_CODE: Final = re.compile(r"exit code (\d{1,10})\b")
_DONE: Final = "completed"
_ENDS: Final = frozenset({_DONE, "failed", "killed", "stopped"})


def background_end(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the end of a call, where a line tells it; None for any other line.

    Only the client's own notices count: what a command wrote may look like one.
    """
    if mapping_of(document.get("origin")).get("kind") != _KIND:
        return None
    text = mapping_of(document.get("message")).get("content")
    if not isinstance(text, str) or not text.startswith(f"<{_KIND}>"):
        return None
    # What the agent answered comes last, and may hold anything.
    head = text.partition("<result>")[0]
    call, status = _field(head, "tool-use-id"), _field(head, "status")
    if call is None or status not in _ENDS:
        return None
    summary = _field(head, "summary")
    code = _EXIT_CODE.search(summary or "")
    duration = _field(text[text.rfind("</result>") :], "duration_ms")
    has_failed = status != _DONE or (code is not None and int(code[1]) != 0)
    return {"tool_use_id": call, "is_error": has_failed} | present(
        output=summary,
        status=status,
        exit_code=int(code[1]) if code else None,
        duration_ms=int(duration) if duration and duration.isdigit() else None,
    )


def _field(text: str, name: str) -> str | None:
    match = re.search(_FIELD.format(name=name), text)
    return match[1].strip() if match else None
