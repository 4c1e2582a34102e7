"""A scripted session of the real Claude Code, with our hooks against hooks that are `true`.

The client is the program that CLAUDE names, else `claude` of PATH; it speaks to a model of this
process, on loopback. Without a client there is no row.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from benchmarks import hooks as registered
from benchmarks.processes import stored
from benchmarks.table import Line, median_ratio
from khive_persist.capture import hook_config
from khive_persist.capture.drain import Drain
from khive_persist.capture.hook_config import native_copy
from khive_persist.project import Project

CALLS: Final = 20
SESSION_SECONDS: Final = 120.0
CONFIG: Final = "config"
SETTINGS: Final = "settings.json"
_END: Final = "done"


class Model(BaseHTTPRequestHandler):
    """A model that wants one command after another, and then has done."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send(b"{}", "application/json")

    def do_HEAD(self) -> None:
        self._send(b"", "application/json")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
        if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
            self._send(b'{"input_tokens": 10}', "application/json")
            return
        number = sum(message["role"] == "assistant" for message in body["messages"])
        calls = body.get("tools") and number < CALLS
        block: dict[str, Any] = {"type": "text", "text": _END}
        if calls:
            block = {"type": "tool_use", "id": f"toolu_{time.time_ns()}", "name": "Bash",
                     "input": {"command": "true", "description": "nothing"}}  # fmt: skip
        message: dict[str, Any] = {
            "id": f"msg_{time.time_ns()}", "type": "message", "role": "assistant",
            "model": body.get("model", "m"), "content": [block], "stop_sequence": None,
            "stop_reason": "tool_use" if calls else "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 10},
        }  # fmt: skip
        if not body.get("stream"):
            self._send(json.dumps(message).encode(), "application/json")
            return
        self._send(b"".join(_stream(message, block)), "text/event-stream")

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _stream(message: dict[str, Any], block: dict[str, Any]) -> list[bytes]:
    is_call = block["type"] == "tool_use"
    empty: dict[str, Any] = {**block, "input": {}} if is_call else {**block, "text": ""}
    delta: dict[str, Any] = (
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        if is_call
        else {"type": "text_delta", "text": block["text"]}
    )
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 10}},
        {"type": "message_stop"},
    ]
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


def measure(rounds: int) -> list[Line]:
    """Compare sessions in turn; no line without a client or a compiler."""
    client = os.environ.get("CLAUDE") or shutil.which("claude")
    if client is None:
        print("no row of a Claude Code session: CLAUDE names no client", file=sys.stderr)
        return []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with registered.installed() as hooks, tempfile.TemporaryDirectory() as name:
        if hooks.program is None:
            return []
        folder = Path(os.path.realpath(name))
        package = folder / "package"
        package.mkdir()
        program = registered.copy_of(hooks, package)
        native_copy.native_hook_path = lambda: program  # type: ignore[attr-defined]
        roots = [folder / name for name in ("shell", "program", "true")]
        for root in roots:
            _make_project(root)
        shell, without_shell, theirs = roots
        _install(shell, shell=True)
        _install(without_shell, shell=False)
        settings = json.loads((shell / CONFIG / SETTINGS).read_text())
        (theirs / CONFIG / SETTINGS).write_text(json.dumps(_with_true(settings)))
        times: dict[Path, list[float]] = {root: [] for root in roots}
        for number in range(rounds + 1):
            # Who comes first in a round takes turns, as what came before may still cost.
            first = number % len(roots)
            for root in roots[first:] + roots[:first]:
                seconds = _session(client, root, server.server_port)
                _wait_for_background()
                if number:
                    times[root].append(seconds)
        events = {root: _stored(Project(root)) // (rounds + 1) for root in (shell, without_shell)}
    server.shutdown()
    return [
        Line(
            f"a scripted Claude Code session of {events[root]} events, {what}",
            f"{sorted(times[root])[rounds // 2]:.2f} s",
            f"hooks that are `true` {sorted(times[theirs])[rounds // 2]:.2f} s",
            median_ratio(times[root], times[theirs]),
            1.08,
            at_most=True,
        )
        for root, what in ((shell, "hooks as registered"), (without_shell, "without a shell"))
    ]


def _make_project(root: Path) -> None:
    (root / CONFIG).mkdir(parents=True)
    Project(root).make()
    state = {
        "hasCompletedOnboarding": True,
        "bypassPermissionsModeAccepted": True,
        "projects": {str(root): {"hasTrustDialogAccepted": True}},
    }
    (root / CONFIG / ".claude.json").write_text(json.dumps(state))


def _install(root: Path, *, shell: bool) -> None:
    """Install the hooks as those of the user whose folder of settings is in the project."""
    os.environ["CLAUDE_CONFIG_DIR"] = str(root / CONFIG)
    hook_config.install("claude-code", "user", root, version="2.1.197", shell=shell)
    del os.environ["CLAUDE_CONFIG_DIR"]


def _stored(project: Project) -> int:
    with Drain(project) as drain:
        drain.run()
    return stored(project)


def _with_true(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the same settings with `true` as the command of each event."""
    copy: dict[str, Any] = json.loads(json.dumps(settings))
    for groups in copy["hooks"].values():
        for group in groups:
            for hook in group["hooks"]:
                hook["command"] = "true || exit 1"
    return copy


def _wait_for_background() -> None:
    """Wait for what a session's hooks started: it would slow down the next session."""
    variable = f"KHIVE_HOME={os.environ['KHIVE_HOME']}".encode()
    while any(_has_variable(path, variable) for path in Path("/proc").glob("[0-9]*/environ")):
        time.sleep(0.05)


def _has_variable(path: Path, variable: bytes) -> bool:
    # Our own environment is that of our start, which has another home.
    with suppress(OSError):
        return variable in path.read_bytes().split(b"\0")
    return False


def _session(client: str, root: Path, port: int) -> float:
    """Run one session to its end; return its seconds."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ["HOME"], "LANG": "C.UTF-8",
        "CLAUDE_CONFIG_DIR": str(root / CONFIG),
        "SHELL": "/bin/bash", "IS_SANDBOX": "1", "KHIVE_HOME": os.environ["KHIVE_HOME"],
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}", "ANTHROPIC_API_KEY": "of-no-use",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
    }  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        [client, "-p", "go", "--permission-mode", "bypassPermissions"], cwd=root, env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=SESSION_SECONDS,
    )  # fmt: skip
    taken = time.perf_counter() - began
    if done.returncode or _END not in done.stdout:
        raise RuntimeError(f"{client}: {done.returncode} {done.stdout} {done.stderr}")
    return taken
