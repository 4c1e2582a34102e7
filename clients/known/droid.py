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

    def configure(self, run: Run) -> None:
        self._write(run, {})

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["exec", "--auto", "high", "-m", f"custom:{MODEL}", text]

    def resume(self, run: Run, text: str) -> list[str]:
        sessions = (run.home / ".factory" / "sessions").rglob("*.jsonl")
        latest = max(sessions, key=lambda path: path.stat().st_mtime)
        return ["exec", "--session-id", latest.stem, *self.prompt(run, text)[1:]]

    def command(self, line: str) -> Turn:
        return Call("Execute", {"command": line, "summary": "Run it", "timeout": 60,
                                "riskLevel": "low", "riskLevelReason": "Small."})  # fmt: skip

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"file_path": str(path), "old_str": before, "new_str": after}
        return [Call("Read", {"file_path": str(path)}), Call("Edit", change)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        return [Call("Task", {"subagent_type": "worker", "description": "Help", "prompt": prompt})]

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
