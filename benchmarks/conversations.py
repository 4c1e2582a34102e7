"""Transcripts of any size, line for line as the tools write them.

What is said in them is source code, in lengths that spread as those of real messages do: most are
short, and some are a hundred times as long.
"""

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID

_SOURCES = ("argparse", "http.client", "shutil", "subprocess", "tarfile", "urllib.parse")
_LONGEST = 400_000
_CWD = "/home/dev/src/proj"
# One result in so many has a secret in it.
_SECRETS = 200

Document = dict[str, Any]


def write(path: Path, tool: str, size: int) -> int:
    """Write a transcript of so many bytes, or a line more; how many lines those are."""
    lines = 0
    with path.open("wb") as file:
        for document in documents(tool):
            file.write(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
            file.write(b"\n")
            lines += 1
            if file.tell() >= size:
                break
    return lines


def documents(tool: str) -> Iterator[Document]:
    """The lines of a session without end, the same each time."""
    return _WRITERS[tool](_Author())


class _Author:
    """Makes up what is said, who says it, and when."""

    def __init__(self) -> None:
        self.random = random.Random(5)
        specs = [find_spec(name) for name in _SOURCES]
        self._source = "".join(
            Path(spec.origin).read_text() for spec in specs if spec and spec.origin
        )
        self._at = datetime(2026, 1, 1, tzinfo=UTC)
        self.session = self.id()

    def text(self, usual: int, spread: float = 1.4) -> str:
        """Some code, half of the time longer than usual, rarely much longer."""
        length = min(_LONGEST, int(usual * math.exp(self.random.gauss(0, spread))))
        begin = self.random.randrange(len(self._source))
        copies = (begin + length) // len(self._source) + 1
        return (self._source * copies)[begin : begin + length]

    def output(self, usual: int) -> str:
        """What a tool gave back."""
        text = self.text(usual)
        if self.random.randrange(_SECRETS) == 0:
            text = f"export GITHUB_TOKEN=ghp_{self.random.getrandbits(160):040x}\n{text}"
        return text

    def id(self) -> str:
        """A new UUID."""
        return str(UUID(int=self.random.getrandbits(128)))

    def at(self) -> str:
        """The next instant."""
        self._at += timedelta(seconds=self.random.random() * 3)
        return self._at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"

    def steps(self) -> range:
        """How many tool calls a turn has."""
        return range(self.random.randrange(3, 20))

    def tokens(self) -> int:
        """A number of tokens."""
        return self.random.randrange(99_999)


def _claude_code(author: _Author) -> Iterator[Document]:
    parent: str | None = None
    prompt = message = request = ""

    def line(kind: str, said: Document, **more: Any) -> Document:
        nonlocal parent
        own = author.id()
        before = {"parentUuid": parent, "isSidechain": False, "promptId": prompt}
        after = {
            "uuid": own, "timestamp": author.at(), "userType": "external", "entrypoint": "cli",
            "cwd": _CWD, "sessionId": author.session, "version": "2.1.197", "gitBranch": "main",
        }  # fmt: skip
        parent = own
        return before | {"type": kind} | said | after | more

    def user(content: Any, **more: Any) -> Document:
        return line("user", {"message": {"role": "user", "content": content}}, **more)

    def assistant(block: Document) -> Document:
        usage = {
            "input_tokens": 4, "cache_creation_input_tokens": author.tokens(),
            "cache_read_input_tokens": author.tokens(), "output_tokens": author.tokens(),
            "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
            "service_tier": "standard",
            "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0},
        }  # fmt: skip
        said = {
            "id": message, "type": "message", "role": "assistant", "model": "claude-opus-4-8",
            "content": [block], "stop_reason": None, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        return line("assistant", {"message": said, "requestId": request})

    while True:
        prompt = author.id()
        yield user(author.text(300))
        yield line("attachment", {"attachment": {"type": "hook_success", "stdout": "ok"}})
        for _ in author.steps():
            message, request = f"msg_{author.id()}", f"req_{author.id()}"
            if author.random.random() < 0.3:
                signature = f"{author.random.getrandbits(2400):0600x}"
                said = {"type": "thinking", "thinking": author.text(600), "signature": signature}
                yield assistant(said)
            if author.random.random() < 0.5:
                yield assistant({"type": "text", "text": author.text(250)})
            call = f"toolu_{author.id()}"
            name, given, shown, result = _used(author)
            yield assistant({"type": "tool_use", "id": call, "name": name, "input": given})
            answer = {"type": "tool_result", "tool_use_id": call, "content": shown}
            yield user([answer], toolUseResult=result)
        yield assistant({"type": "text", "text": author.text(800)})
        yield {"type": "last-prompt", "lastPrompt": "go", "sessionId": author.session}


def _used(author: _Author) -> tuple[str, Document, str, Document]:
    """A tool of Claude Code: its name, its input, what the model sees of its result, and all."""
    path = f"{_CWD}/a.py"
    kind = author.random.random()
    if kind < 0.4:
        output = author.output(1_200)
        result = {"stdout": output, "stderr": "", "interrupted": False, "isImage": False}
        return "Bash", {"command": author.text(80), "description": "Run"}, output, result
    if kind < 0.75:
        content = author.output(4_000)
        lines = enumerate(content.split("\n"), 1)
        shown = "\n".join(f"{number:6}\t{line}" for number, line in lines)
        file = {"filePath": path, "content": content, "numLines": 99, "startLine": 1}
        return "Read", {"file_path": path}, shown, {"type": "text", "file": file}
    old, new = author.text(400), author.text(500)
    patch = {"oldStart": 1, "oldLines": 6, "newStart": 1, "newLines": 7, "lines": old.split("\n")}
    given = {"file_path": path, "old_string": old, "new_string": new}
    before = author.text(4_000)
    result = {"filePath": path, "originalFile": before, "structuredPatch": [patch]}
    return "Edit", given, author.text(300), result


def _codex(author: _Author) -> Iterator[Document]:
    numbers = count()
    session = author.session

    def line(kind: str, payload: Document) -> Document:
        number = next(numbers)
        return {"timestamp": author.at(), "ordinal": number, "type": kind, "payload": payload}

    yield line("session_meta", {"session_id": session, "id": session, "cwd": _CWD})
    while True:
        turn = author.id()

        def item(kind: str, turn: str = turn, **said: Any) -> Document:
            passed = {"turn_id": turn, "create_time": 1795223481.9}
            said["internal_chat_message_metadata_passthrough"] = passed
            return line("response_item", {"type": kind, "id": author.id(), **said})

        yield line("turn_context", {"turn_id": turn, "cwd": _CWD, "model": "gpt-5"})
        asked = {"type": "input_text", "text": author.text(300)}
        yield item("message", role="user", content=[asked])
        for _ in author.steps():
            if author.random.random() < 0.6:
                thought = {"type": "summary_text", "text": author.text(300)}
                sealed = f"{author.random.getrandbits(4800):01200x}"
                yield item("reasoning", summary=[thought], encrypted_content=sealed)
            call, command = f"call_{author.id()}", author.text(150)
            given = json.dumps({"cmd": command, "yield_time_ms": 5000})
            yield item("function_call", name="exec_command", arguments=given, call_id=call)
            usage = {"input_tokens": author.tokens(), "cached_input_tokens": 100}
            usage |= {"output_tokens": 20, "reasoning_output_tokens": 7, "total_tokens": 1_020}
            spent = {"session_id": session, "turn_id": turn, "response_id": author.id()}
            yield line("token_usage_record", spent | {"usage": usage, "turn_token_usage": usage})
            output = author.output(2_500)
            yield item("function_call_output", call_id=call, output=f"Output:\n{output}")
            run = {"type": "CommandExecution", "command": command, "aggregated_output": output}
            yield line("event_msg", {"type": "item_completed", "turn_id": turn, "item": run})
            info = {"total_token_usage": usage, "last_token_usage": usage}
            yield line("event_msg", {"type": "token_count", "info": info})
        answer = {"type": "output_text", "text": author.text(800)}
        yield item("message", role="assistant", content=[answer])


def _gemini_cli(author: _Author) -> Iterator[Document]:
    def message(kind: str, content: Any, **more: Any) -> Document:
        said = {"id": author.id(), "timestamp": author.at(), "type": kind, "content": content}
        return said | more

    begun = author.at()
    head = {"sessionId": author.session, "projectHash": "9e" * 32, "startTime": begun}
    yield head | {"lastUpdated": begun, "kind": "main"}
    while True:
        yield message("user", [{"text": author.text(300)}])
        for _ in author.steps():
            yield {"$set": {"lastUpdated": author.at()}}
            thought = {"subject": "Looking", "description": author.text(200)}
            tokens = {"input": author.tokens(), "output": 20, "cached": 100, "thoughts": 7}
            said = message("gemini", author.text(200), thoughts=[thought], tokens=tokens)
            said["model"] = "gemini-2.5-flash"
            yield said
            call, output = f"read_file-{author.id()}", author.output(2_500)
            response = {"id": call, "name": "read_file", "response": {"output": output}}
            done: Document = {"id": call, "name": "read_file", "args": {"file_path": "a.py"}}
            done |= {"result": [{"functionResponse": response}], "status": "success"}
            yield said | {"toolCalls": [done | {"resultDisplay": output[:500]}]}
            yield message("user", [{"functionResponse": response}])


_WRITERS: Final = {"claude-code": _claude_code, "codex": _codex, "gemini-cli": _gemini_cli}
TOOLS: Final = tuple(_WRITERS)
