"""Whole sessions as hooks send them: the shapes of real payloads, filled with real code."""

import argparse
import ast
import dataclasses
import json
import random
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

EVENT_BYTES: Final = 2_048
# Sources of the standard library: text that compresses as what agents read and write does.
_SOURCES: Final = (argparse, ast, dataclasses, tarfile)
_CALLS: Final = ("Bash", "Read", "Edit", "Write")


class Sample:
    """One session of Claude Code, its payloads in the order of their hooks."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._text = "".join(
            Path(source.__file__).read_text("utf-8") for source in _SOURCES if source.__file__
        )
        self.id = self._uuid()

    def payloads(self, calls: int, event_bytes: int = EVENT_BYTES) -> Iterator[bytes]:
        """A start, a prompt, tool calls of two events each, a stop and an end.

        The events before a call are small and those after it large, as real ones are; together
        they are `event_bytes` each on average.
        """
        yield self._line("SessionStart", {"source": "startup", "model": "claude-opus-4-8"})
        yield self._line("UserPromptSubmit", {"prompt": self._excerpt(event_bytes // 2)})
        for number in range(calls):
            name = _CALLS[number % len(_CALLS)]
            use = {"tool_use_id": "toolu_" + self._hex(20), "tool_name": name}
            tool_input = self._input(name, event_bytes // 3)
            before = self._line("PreToolUse", use | {"tool_input": tool_input})
            yield before
            after = use | {"tool_input": tool_input, "duration_ms": self._random.randint(3, 9_000)}
            bare = self._line("PostToolUse", after | {"tool_response": self._answer(name, 0)})
            room = max(0, 2 * event_bytes - len(before) - len(bare))
            yield self._line("PostToolUse", after | {"tool_response": self._answer(name, room)})
        yield self._line("Stop", {"last_assistant_message": self._excerpt(event_bytes // 2)})
        yield self._line("SessionEnd", {"reason": "prompt_input_exit"})

    def _line(self, event: str, fields: dict[str, Any]) -> bytes:
        common = {
            "session_id": self.id,
            "transcript_path": f"/home/dev/.claude/projects/-home-dev-src-proj/{self.id}.jsonl",
            "cwd": "/home/dev/src/proj",
            "prompt_id": self.id[::-1],
            "permission_mode": "default",
            "effort": {"level": "high"},
            "hook_event_name": event,
        }
        text = json.dumps(common | fields, separators=(",", ":"), ensure_ascii=False)
        return text.encode() + b"\n"

    def _input(self, name: str, size: int) -> dict[str, Any]:
        path = f"/home/dev/src/proj/src/module_{self._random.randint(1, 40)}.py"
        if name == "Bash":
            pattern = "|".join(self._excerpt(60).split()[:4])
            command = f"cd /home/dev/src/proj && grep -rnE '{pattern}' src/ | head -40"
            return {"command": command, "description": "Find where these names are used"}
        if name == "Read":
            return {"file_path": path}
        if name == "Edit":
            old = self._excerpt(size // 2)
            return {"file_path": path, "old_string": old, "new_string": old.replace("self", "me")}
        return {"file_path": path, "content": self._excerpt(size)}

    def _answer(self, name: str, room: int) -> dict[str, Any]:
        text = self._excerpt(room)
        # Quotes and line ends take two bytes in JSON.
        text = text[: max(0, room - (len(json.dumps(text)) - 2 - len(text)))]
        if name == "Bash":
            return {"stdout": text, "stderr": "", "interrupted": False, "isImage": False}
        if name == "Read":
            file = {"content": text, "numLines": 40, "startLine": 1, "totalLines": 400}
            return {"type": "text", "file": file}
        return {"type": "update", "originalFile": text, "structuredPatch": []}

    def _excerpt(self, size: int) -> str:
        begin = self._random.randrange(len(self._text) - size - 1)
        return self._text[begin : begin + size]

    def _hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
