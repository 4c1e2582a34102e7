"""Gemini CLI."""

import json
from pathlib import Path

from clients.client import Calls, Client
from clients.run import Run
from clients.script import Call, Turn


class GeminiCli(Client):
    """Gemini CLI, asked with `-p`."""

    name = "gemini-cli"
    title = "Gemini CLI"
    package = "@google/gemini-cli"
    program = "gemini"
    settings = ".gemini/settings.json"
    untold = (
        "Its events around a call of the model are registered on request: they repeat it all.",
    )

    def configure(self, run: Run) -> None:
        run.variables.update(
            GEMINI_API_KEY="of-no-use", GOOGLE_GEMINI_BASE_URL=run.url,
            GEMINI_CLI_NO_RELAUNCH="true", GEMINI_CLI_TRUST_WORKSPACE="true",
        )  # fmt: skip
        settings = {
            "security": {
                "auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False},
            },
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
            "model": {"name": "gemini-2.5-flash"},
        }  # fmt: skip
        (run.home / ".gemini").mkdir()
        (run.home / ".gemini" / "settings.json").write_text(json.dumps(settings))

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["-p", text, "--yolo"]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["--resume", "latest", *self.prompt(run, text)]

    def command(self, line: str) -> Turn:
        return Call("run_shell_command", {"command": line, "description": "Run it"})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"file_path": str(path), "old_string": before, "new_string": after,
                  "instruction": "Change it", "allow_multiple": False}  # fmt: skip
        return [Call("read_file", {"file_path": str(path)}), Call("replace", change)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        arguments = {"agent_name": "generalist", "prompt": prompt}
        return [Call("invoke_agent", arguments)]

    def deny(self, run: Run, word: str) -> bool:
        folder = run.home / ".gemini" / "policies"
        folder.mkdir()
        (folder / "deny.toml").write_text(
            f'[[rule]]\ntoolName = "run_shell_command"\ncommandPrefix = "{word}"\n'
            'decision = "deny"\npriority = 900\n'
        )
        return True
