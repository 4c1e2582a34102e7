"""Droid."""

import json
from pathlib import Path

from clients.client import Calls, Client
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn


class Droid(Client):
    """Droid, asked with `exec`."""

    name = "droid"
    title = "Droid"
    package = "droid"
    program = "droid"
    settings = ".factory/hooks.json"
    untold = (
        "Its events have no id of a tool call.",
        "Tokens stand in a file beside the transcript, as sums of the session.",
        "It runs the hooks of project and user: with ours in both, each event is stored twice.",
    )
    without_resume = "it fetches the session from its makers"
    ends_when_denied = True
    without_subagent = "its subagents run in a daemon, which `exec` alone does not start"

    def configure(self, run: Run) -> None:
        self._write(run, {})

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["exec", "--auto", "high", "-m", f"custom:{MODEL}", text]

    def resume(self, run: Run, text: str) -> None:
        return None

    def command(self, line: str) -> Turn:
        return Call("Execute", {"command": line, "summary": "Run it as asked", "timeout": 60,
                                "riskLevel": "low", "riskLevelReason": "Small."})  # fmt: skip

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"file_path": str(path), "old_str": before, "new_str": after}
        return [Call("Read", {"file_path": str(path)}), Call("Edit", change)]

    def deny(self, run: Run, word: str) -> bool:
        self._write(run, {"commandDenylist": [word]})
        return True

    def _write(self, run: Run, more: dict[str, object]) -> None:
        folder = run.home / ".factory"
        folder.mkdir(exist_ok=True)
        model = {"model": MODEL, "displayName": "Mock", "baseUrl": f"{run.url}/v1",
                 "apiKey": "of-no-use", "provider": "generic-chat-completion-api",
                 "maxOutputTokens": 8_192}  # fmt: skip
        (folder / "settings.json").write_text(json.dumps({"customModels": [model]} | more))
