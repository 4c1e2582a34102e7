"""Read how calls of Codex's transcripts ended: from an event, else from the result's text."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from khive_persist.tools.message_part import mapping_of, mappings_in, present, text_of

# What Codex says in place of a result where a call did not run.
_REFUSED: Final = re.compile(
    r"(?:Wall time: [\d.]+ seconds\n)?aborted by user|(?:exec command|patch) rejected by user"
    r"|apply_patch verification failed: |failed to parse function arguments: |unsupported call: "
    r"|update_plan is a TODO/checklist tool and is not allowed in Plan mode"
)
# The lines before what a command wrote, as far as the exit code; those of a patch, which may have
# come by way of a command. What a command wrote comes after the first `Output:` only.
_EXIT_CODE: Final = re.compile(
    r"(?:(?:Chunk ID: .*\n)?(?:Wall time: .*\n)?Process exited with code"
    r"|(?:Wall time: [\d.]+ seconds\nOutput:\n)?Exit code:) (-?\d{1,10})\n"
)
_RUNNING: Final = re.compile(
    r"(?:Chunk ID: .*\n)?(?:Wall time: .*\n)?Process running with session ID"
)
_FAILED: Final = frozenset({"failed", "declined"})
_NANOSECONDS: Final = 1_000_000


def result_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of an output item, with what its text says of how the call ended."""
    output = payload.get("output")
    result = {"tool_use_id": payload.get("call_id"), "output": output}
    text = text_in(output)
    if _REFUSED.match(text):
        return result | {"is_error": True}
    # The answer of a server's tool is a list: all of it but the first line is what that wrote.
    code = _exit_code(text) if isinstance(output, str) else None
    if code is not None:
        result |= {"exit_code": code, "is_error": code != 0}
    elif isinstance(output, str) and _RUNNING.match(text):
        result["is_running"] = True
    return result


def is_running(result: Mapping[str, Any]) -> bool:
    """Return whether a result came before the command's end."""
    return result.get("is_running") is True


def end_of(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how a call ended, by an `item_completed` event; None where it is of no call."""
    item = payload.get("item")
    if not isinstance(item, Mapping) or "status" not in item or not isinstance(item.get("id"), str):
        return None
    status, code, result = item["status"], item.get("exit_code"), item.get("result")
    is_error = (
        status in _FAILED
        or (isinstance(code, int) and code != 0)
        or (isinstance(result, Mapping) and result.get("isError") is True)
    )
    return {"tool_use_id": item["id"], "is_error": is_error} | present(
        status=status if isinstance(status, str) else None,
        exit_code=code if isinstance(code, int) else None,
        duration_ms=_duration_ms(payload, item),
        file_paths=_changed_files(item.get("changes")),
        output=item.get("aggregated_output"),
    )


def text_in(content: Any) -> str:
    """Join the texts of a content's parts."""
    return "\n".join(texts_in(content))


def texts_in(content: Any) -> list[str]:
    """List the texts of a content's parts."""
    if isinstance(content, str):
        return [content]
    texts = (part.get("text") for part in mappings_in(content))
    return [text for text in texts if isinstance(text, str) and text]


def _exit_code(text: str) -> int | None:
    if match := _EXIT_CODE.match(text):
        return int(match[1])
    if text.startswith('{"'):
        # As the first versions wrote it.
        with suppress(ValueError, RecursionError):
            document = json.loads(text)
            metadata = document.get("metadata") if "output" in document else None
            code = metadata.get("exit_code") if isinstance(metadata, dict) else None
            return code if isinstance(code, int) else None
    return None


def _duration_ms(payload: Mapping[str, Any], item: Mapping[str, Any]) -> float | None:
    duration = mapping_of(item.get("duration"))
    seconds, nanoseconds = duration.get("secs"), duration.get("nanos")
    if isinstance(seconds, int) and isinstance(nanoseconds, int):
        return seconds * 1_000 + nanoseconds / _NANOSECONDS
    began, end = payload.get("started_at_ms"), payload.get("completed_at_ms")
    if isinstance(began, int) and isinstance(end, int) and end >= began:
        return end - began
    return None


def _changed_files(changes: Any) -> list[str]:
    paths: dict[str, None] = {}
    for path, change in mapping_of(changes).items():
        paths[str(path)] = None
        if moved := text_of(mapping_of(change).get("move_path")):
            paths[moved] = None
    return list(paths)
