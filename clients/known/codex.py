"""Codex."""

import json
from pathlib import Path
from typing import Final

from clients.client import Calls, Client
from clients.run import Run
from clients.script import Call, Turn

_MODEL: Final = "gpt-5.5"
# To a model that it does not know it offers subagents beside its other tools, and no patches.
_UNKNOWN_MODEL: Final = "mock-model"


class Codex(Client):
    """Codex, asked with `exec`."""

    name = "codex"
    title = "Codex"
    package = "@openai/codex"
    program = "codex"
    settings = ".codex/hooks.json"
    untold = (
        "No event comes after a call that was refused or could not begin.",
        "The exit code of a command stands in the transcript alone.",
    )

    def configure(self, run: Run) -> None:
        run.variables["OPENAI_API_KEY"] = "of-no-use"
        lines = [
            f'model = "{_MODEL}"',
            'model_provider = "mock"',
            'approval_policy = "never"',
            'sandbox_mode = "danger-full-access"',
            "check_for_update_on_startup = false",
            "[model_providers.mock]",
            'name = "mock"',
            f'base_url = "{run.url}/v1"',
            'wire_api = "responses"',
            'env_key = "OPENAI_API_KEY"',
            "request_max_retries = 0",
            "stream_max_retries = 0",
            "[analytics]",
            "enabled = false",
            "[features]",
            "plugins = false",
            "apps = false",
            "shell_snapshot = false",
            f"[projects.{json.dumps(str(run.project), ensure_ascii=False)}]",
            'trust_level = "trusted"',
        ]
        (run.home / ".codex").mkdir()
        (run.home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n")

    def prompt(self, run: Run, text: str) -> list[str]:
        # Who may run our hooks is asked in the terminal alone.
        return ["exec", "--skip-git-repo-check", "--dangerously-bypass-hook-trust", text]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["exec", "resume", "--last", *self.prompt(run, text)[1:]]

    def command(self, line: str) -> Turn:
        return (
            Call("exec_command", {"cmd": line, "yield_time_ms": 20_000}),
            Call("shell_command", {"command": line}),
            Call("shell", {"command": ["sh", "-c", line]}),
        )

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        patch = "\n".join(
            ["*** Begin Patch", f"*** Update File: {path.name}", "@@", f"-{before}", f"+{after}",
             "*** End Patch", ""]
        )  # fmt: skip
        return [Call("apply_patch", patch)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        config = run.home / ".codex" / "config.toml"
        config.write_text(config.read_text().replace(f'"{_MODEL}"', f'"{_UNKNOWN_MODEL}"'))
        start = {"message": prompt, "task_name": "help"}
        return [Call("spawn_agent", start), Call("wait_agent", {"timeout_ms": 20_000})]

    def deny(self, run: Run, word: str) -> bool:
        folder = run.home / ".codex" / "rules"
        folder.mkdir()
        (folder / "default.rules").write_text(
            f'prefix_rule(pattern=["{word}"], decision="forbidden")\n'
        )
        return True
