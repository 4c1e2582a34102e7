"""Claude Code."""

import json
from pathlib import Path

from clients.client import Calls, Client
from clients.run import Run
from clients.script import Call, Turn


class ClaudeCode(Client):
    """Claude Code, asked with `-p`."""

    name = "claude-code"
    title = "Claude Code"
    package = "@anthropic-ai/claude-code"
    program = "claude"
    settings = ".claude/settings.json"
    untold = (
        "A `!` command of a skill has no event of a tool call.",
        "A hook for WorktreeCreate or WorktreeRemove changes what it does: none is registered.",
    )

    def configure(self, run: Run) -> None:
        run.variables.update(
            ANTHROPIC_BASE_URL=run.url, ANTHROPIC_API_KEY="of-no-use", IS_SANDBOX="1",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_AUTOUPDATER="1",
        )  # fmt: skip
        state = {
            "hasCompletedOnboarding": True,
            "bypassPermissionsModeAccepted": True,
            "projects": {str(run.project): {"hasTrustDialogAccepted": True}},
        }
        (run.home / ".claude.json").write_text(json.dumps(state))

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["-p", text, "--permission-mode", "bypassPermissions"]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["--continue", *self.prompt(run, text)]

    def command(self, line: str) -> Turn:
        return Call("Bash", {"command": line, "description": "Run it"})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"file_path": str(path), "old_string": before, "new_string": after}
        return [Call("Read", {"file_path": str(path)}), Call("Edit", change)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        arguments = {
            "description": "Help", "prompt": prompt, "subagent_type": "general-purpose",
            "run_in_background": False,
        }  # fmt: skip
        return [(Call("Agent", arguments), Call("Task", arguments))]

    def deny(self, run: Run, word: str) -> bool:
        path = run.home / ".claude" / "settings.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"permissions": {"deny": [f"Bash({word}:*)"]}}))
        return True
