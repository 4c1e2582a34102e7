"""Copilot CLI."""

from pathlib import Path
from types import MappingProxyType

from clients.client import Calls, Client
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn


class CopilotCli(Client):
    """Copilot CLI, asked with `-p`, with a provider of our own."""

    name = "copilot-cli"
    title = "Copilot CLI"
    package = "@github/copilot"
    program = "copilot"
    settings = ".github/hooks/khive-persist.json"
    event_names = MappingProxyType({
        "permissionRequest": "PermissionRequest",
        "transformedPrompt": "userPromptTransformed",
        "agentName": "SubagentStart",
    })  # fmt: skip
    untold = (
        "Its events have no id of a tool call.",
        "Only the end of a turn names the transcript.",
    )

    def configure(self, run: Run) -> None:
        run.variables.update(
            COPILOT_OFFLINE="true", COPILOT_PROVIDER_BASE_URL=f"{run.url}/v1",
            COPILOT_PROVIDER_API_KEY="of-no-use", COPILOT_MODEL=MODEL,
        )  # fmt: skip

    def prompt(self, run: Run, text: str) -> list[str]:
        denied = [f"--deny-tool={word}" for word in run.denied]
        return ["-p", text, "--allow-all", "--trust-folder", *denied]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["-p", text, "--continue", "--allow-all"]

    def command(self, line: str) -> Turn:
        return Call("bash", {"command": line, "description": "Run it"})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        return [Call("edit", {"path": str(path), "old_str": before, "new_str": after})]

    def subagent(self, run: Run, prompt: str) -> Calls:
        arguments = {"agent_type": "general-purpose", "name": "helper", "description": "Help",
                     "prompt": prompt, "mode": "sync"}  # fmt: skip
        return [Call("task", arguments)]

    def deny(self, run: Run, word: str) -> bool:
        run.denied.append(f"shell({word}:*)")
        return True
