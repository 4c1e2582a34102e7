"""Kimi Code."""

from pathlib import Path

from clients.client import Calls, Client
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn


class KimiCode(Client):
    """Kimi Code, asked with `-p`."""

    name = "kimi-code"
    title = "Kimi Code"
    package = "@moonshot-ai/kimi-code"
    program = "kimi"
    settings = ".kimi-code/config.toml"
    scopes = ("user",)
    untold = (
        "Its hooks stand in the settings of the user alone.",
        "It does not wait for hooks that only look on: one that is slow is lost with its end.",
    )

    def configure(self, run: Run) -> None:
        run.variables.update(KIMI_DISABLE_TELEMETRY="1", KIMI_CODE_NO_AUTO_UPDATE="1")
        lines = [
            'default_model = "mock"',
            "[providers.mock]",
            'type = "openai"',
            f'base_url = "{run.url}/v1"',
            'api_key = "of-no-use"',
            "[models.mock]",
            'provider = "mock"',
            f'model = "{MODEL}"',
            "max_context_size = 200000",
        ]
        path = run.home / self.settings
        path.parent.mkdir()
        path.write_text("\n".join(lines) + "\n")

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["-p", text]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["--continue", *self.prompt(run, text)]

    def command(self, line: str) -> Turn:
        return Call("Bash", {"command": line})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"path": str(path), "old_string": before, "new_string": after}
        return [Call("Read", {"path": str(path)}), Call("Edit", change)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        arguments = {"description": "Help", "prompt": prompt, "subagent_type": "coder"}
        return [Call("Agent", arguments)]

    def deny(self, run: Run, word: str) -> bool:
        path = run.home / self.settings
        rule = ["", "[[permission.rules]]", 'decision = "deny"', 'pattern = "Bash"', ""]
        path.write_text(path.read_text() + "\n".join(rule))
        return True
