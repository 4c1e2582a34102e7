"""Read how a call in the background ended, as Claude Code and Qwen Code tell the model later."""

import re
from typing import Any, Final

from khive_persist.tools.message_part import present

TAG: Final = "<task-notification>"
_FIELD: Final = "<{name}>([^<]*)</{name}>"
_EXIT_CODE: Final = re.compile(r"exit code (\d{1,10})\b")
_DONE: Final = "completed"
_ENDS: Final = frozenset({_DONE, "failed", "killed", "stopped", "cancelled"})


def end_in(text: str) -> dict[str, Any] | None:
    """Return the end of a call, where a notice of the client's tells it; None for any other text.

    Whether the client wrote it is for the caller to know: what a command wrote may look like one.
    """
    if not text.startswith(TAG):
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
