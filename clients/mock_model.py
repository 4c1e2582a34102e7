"""A model on loopback that answers by scripts, and writes down what it was asked and told."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

from clients import wire
from clients.script import Call, Script, next_answer, position

_CHAT, _RESPONSES, _MESSAGES, _GEMINI = (
    wire.Chat(), wire.Responses(), wire.Messages(), wire.Gemini(),
)  # fmt: skip
_GEMINI_PATH: Final = re.compile(r"/models/([^/:]+):(\w+)")
MODEL: Final = "mock-model"
# Of a request without a script: clients ask for titles and summaries, some as JSON.
_ASIDE: Final = "ok"


class Told(NamedTuple):
    """One answer of the model.

    Attributes:
        number: Its number, from 1.
        service: The service that was asked.
        model: The model that was asked for.
        script: The script that it came from; an empty string for what a client asked besides.
        step: The number of its turn in that script.
        answer: The name of the tool that it called, or an empty string for a text.
        usage: The tokens that it told.
    """

    number: int
    service: str
    model: str
    script: str
    step: int
    answer: str
    usage: wire.Usage


class Model(ThreadingHTTPServer):
    """The model of one run.

    `told` grows with each answer. Each answer has other numbers of tokens, so that one which is
    lost or counted twice changes the sum.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, scripts: Mapping[str, Script], log: Path) -> None:
        """Listen on a free port of loopback; `log` gets each request, one JSON document a line."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[Told] = []
        self.scripts = dict(scripts)
        self._log = log
        self._lock = threading.Lock()

    def write_down(self, method: str, path: str, body: object) -> None:
        """Append a request to the log."""
        line = json.dumps({"method": method, "path": path, "body": body})
        with self._lock, self._log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def answer(self, service: wire.Wire, request: wire.Json, model: str) -> wire.Answer:
        """Return the answer to a request, and count it."""
        tools = service.tools(request)
        script, step = position(service.conversation(request)) if tools else ("", 0)
        if script in self.scripts:
            content = next_answer(self.scripts[script], step, tools)
        else:
            script, step, content = "", 0, _aside(request)
        with self._lock:
            number = len(self.told) + 1
            usage = wire.Usage(1_000 + 13 * number, 100 + 7 * number, 20 + number)
            called = content.tool if isinstance(content, Call) else ""
            self.told.append(Told(number, service.name, model, script, step, called, usage))
        return wire.Answer(f"{self.server_port}{number:04d}", model, content, usage)


@contextmanager
def serving(scripts: Mapping[str, Script], log: Path) -> Iterator[Model]:
    """Serve a model until the end of the block."""
    with Model(scripts, log) as model:
        thread = threading.Thread(target=model.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield model
        finally:
            model.shutdown()
            thread.join()


def _aside(request: wire.Json) -> str:
    settings = request.get("generationConfig") or {}
    wants_json = (
        settings.get("responseMimeType") == "application/json"
        or (request.get("response_format") or {}).get("type") in {"json_object", "json_schema"}
    )  # fmt: skip
    if not wants_json:
        return _ASIDE
    return json.dumps({"reasoning": "", "next_speaker": "user", "complexity_score": 1})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write an answer.
    wbufsize = 1 << 20
    disable_nagle_algorithm = True
    server: Model

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._send(200, b"", "application/json")

    def do_GET(self) -> None:
        self.server.write_down("GET", self.path, None)
        if "models" not in self.path:
            self._send(404, b"{}", "application/json")
            return
        one = {"id": MODEL, "object": "model", "created": 1, "owned_by": "us",
               "context_length": 200_000}  # fmt: skip
        self._send_json({"object": "list", "data": [one], "models": []})

    def do_POST(self) -> None:
        raw = self._body()
        try:
            request = json.loads(raw)
        except ValueError:
            request = {}
        self.server.write_down("POST", self.path, request)
        path = self.path.partition("?")[0]
        gemini = _GEMINI_PATH.search(path)
        model = str(request.get("model") or MODEL)
        if gemini and gemini[2] == "countTokens":
            self._send_json({"totalTokens": 1_000})
        elif gemini:
            is_stream = gemini[2].startswith("stream")
            self._answer(_GEMINI, request, gemini[1], is_stream=is_stream)
        elif path.endswith("/count_tokens"):
            self._send_json({"input_tokens": 1_000})
        elif path.endswith("/messages"):
            self._answer(_MESSAGES, request, model, is_stream=bool(request.get("stream")))
        elif path.endswith("/responses"):
            self._answer(_RESPONSES, request, model, is_stream=bool(request.get("stream")))
        elif path.endswith("/chat/completions"):
            self._answer(_CHAT, request, model, is_stream=bool(request.get("stream")))
        else:
            self._send(404, b"{}", "application/json")

    def _answer(
        self, service: wire.Wire, request: wire.Json, model: str, *, is_stream: bool
    ) -> None:
        answer = self.server.answer(service, request, model)
        if is_stream:
            text = "".join(service.stream(request, answer))
            self._send(200, text.encode(), "text/event-stream")
        else:
            self._send_json(service.document(request, answer))

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send_json(self, document: wire.Json) -> None:
        self._send(200, json.dumps(document).encode(), "application/json")

    def _send(self, code: int, content: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            # The client was told to stop.
            self.close_connection = True
