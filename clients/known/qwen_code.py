"""Qwen Code."""

import json
from pathlib import Path

from clients.client import Calls, Client
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn


class QwenCode(Client):
    """Qwen Code, asked with `-p`."""

    name = "qwen-code"
    title = "Qwen Code"
    package = "@qwen-code/qwen-code"
    program = "qwen"
    settings = ".qwen/settings.json"
    untold = ("After each answer of a tool an event of an empty prompt comes, which is nobody's.",)

    def configure(self, run: Run) -> None:
        run.variables.update(
            OPENAI_BASE_URL=f"{run.url}/v1", OPENAI_API_KEY="of-no-use", OPENAI_MODEL=MODEL
        )
        self._write(run, {})

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["-p", text, "--yolo"]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["--continue", *self.prompt(run, text)]

    def command(self, line: str) -> Turn:
        return Call("run_shell_command", {"command": line, "description": "Run it",
                                          "is_background": False})  # fmt: skip

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"file_path": str(path), "old_string": before, "new_string": after}
        return [Call("read_file", {"file_path": str(path)}), Call("edit", change)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        arguments = {"description": "Help", "prompt": prompt, "subagent_type": "general-purpose"}
        return [(Call("agent", arguments), Call("task", arguments))]

    def deny(self, run: Run, word: str) -> bool:
        self._write(run, {"permissions": {"deny": [f"Bash({word} *)"]}})
        return True

    def _write(self, run: Run, more: dict[str, object]) -> None:
        folder = run.home / ".qwen"
        folder.mkdir(exist_ok=True)
        settings = {"privacy": {"usageStatisticsEnabled": False},
                    "general": {"enableAutoUpdate": False}}  # fmt: skip
        (folder / "settings.json").write_text(json.dumps(settings | more))
