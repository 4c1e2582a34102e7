"""Read what a tool of Cline returned: an answer for each of its commands or files, or one."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from khive_persist.tools import payload_fields

SHELL: Final = frozenset({"run_commands", "execute_command"})
_EXIT_CODE: Final = re.compile(r"Command exited with code (-?\d{1,10})\Z")
_EXIT_LINE: Final = re.compile(r"\A\[Command exited with code -?\d{1,10}\]\n")


class Result(NamedTuple):
    """The result of a tool call.

    Attributes:
        output: The text that it returned; of commands without the lines that Cline adds.
        success: None where nothing tells.
        exit_code: That of the first command that failed, or None.
        error: The reasons of what failed.
    """

    output: str
    success: bool | None
    exit_code: int | None = None
    error: str = ""


def result_of(tool: str, output: object, *, is_error: bool | None = None) -> Result:
    """Read the output of a call, as hooks and transcripts have it.

    A command that failed makes the call a failed one, though to Cline it is none; of files that
    are read it is so where there is none that could be.
    """
    if isinstance(output, str):
        output = _decoded(output)
    answers = output if isinstance(output, list) else [output]
    known = [answer for answer in answers if isinstance(answer, dict)]
    text = "\n".join(filter(None, map(_text, answers)))
    error = "\n".join(payload_fields.string(a, "error") for a in known if _reason(a))
    failures = [answer for answer in known if answer.get("success") is False]
    if is_error is True:
        return Result("", False, error=error or text)
    codes = [int(match[1]) for a in known if (match := _EXIT_CODE.search(_reason(a)))]
    if tool in SHELL:
        success = False if failures else True if known else None
        return Result(text, success, codes[0] if codes else None, error)
    if failures and len(failures) == len(answers):
        return Result(text, False, error=error or text)
    return Result(text, True if known or is_error is False else None)


def _decoded(text: str) -> object:
    """Return the object that a text is the JSON of, as transcripts have it; else the text."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(answer: object) -> str:
    if not isinstance(answer, Mapping):
        return answer if isinstance(answer, str) else payload_fields.compact_json(answer)
    for name in ("result", "text"):
        if isinstance(text := answer.get(name), str):
            return _EXIT_LINE.sub("", text)
    return _reason(answer) or payload_fields.compact_json(dict(answer))


def _reason(answer: Mapping[str, Any]) -> str:
    return payload_fields.string(answer, "error")
