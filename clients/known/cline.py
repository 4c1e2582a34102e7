"""Cline."""

import json
import shutil
from pathlib import Path
from types import MappingProxyType

from clients import recorder
from clients.client import Calls, Client
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn


class Cline(Client):
    """Cline, asked with a prompt alone."""

    name = "cline"
    title = "Cline"
    package = "cline"
    program = "cline"
    settings = ".clinerules/hooks"
    event_names = MappingProxyType({
        "agent_start": "TaskStart",
        "agent_end": "TaskComplete",
        "agent_abort": "TaskCancel",
        "agent_error": "TaskError",
        "tool_call": "PreToolUse",
        "tool_result": "PostToolUse",
        "prompt_submit": "UserPromptSubmit",
        "session_shutdown": "SessionShutdown",
    })  # fmt: skip
    untold = (
        "Hooks run in a daemon, which the environment of the shell does not reach.",
        "A prompt has no event of its own but for the first one.",
    )
    without_resume = "it resumes a session in a terminal only"

    def configure(self, run: Run) -> None:
        settings = {"provider": "openai-compatible", "apiKey": "of-no-use", "model": MODEL,
                    "baseUrl": f"{run.url}/v1"}  # fmt: skip
        provider = {"settings": settings, "updatedAt": "2026-01-01T00:00:00.000Z",
                    "tokenSource": "manual"}  # fmt: skip
        folder = run.home / ".cline" / "data" / "settings"
        folder.mkdir(parents=True)
        (folder / "providers.json").write_text(json.dumps(
            {"version": 1, "lastUsedProvider": "openai-compatible", "modes": {},
             "providers": {"openai-compatible": provider}}
        ))  # fmt: skip

    def record(self, run: Run) -> None:
        # A program of another name beside ours runs for the same event.
        script = recorder.script(run.folder, '{"cancel":false}')
        folder = run.project / self.settings
        for program in list(folder.iterdir()):
            if not program.suffix:
                shutil.copy(script, program.with_name(f"{program.name}.sh"))

    def prompt(self, run: Run, text: str) -> list[str]:
        return [*(["--auto-approve", "false"] if run.denied else []), text]

    def resume(self, run: Run, text: str) -> None:
        return None

    def command(self, line: str) -> Turn:
        return Call("run_commands", {"commands": [line]})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        return [Call("editor", {"path": str(path), "old_text": before, "new_text": after})]

    def subagent(self, run: Run, prompt: str) -> Calls:
        return [Call("spawn_agent", {"systemPrompt": "You help.", "task": prompt})]

    def deny(self, run: Run, word: str) -> bool:
        # It asks for every call, and nobody is there to say yes.
        run.denied.append(word)
        return True
