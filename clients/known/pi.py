"""pi."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clients import plugin_recorder, recorder
from clients.client import Calls, Client
from clients.comparison import Events, Stored
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn
from khive_persist.tools import TOOLS

_RECORDER: Final = """import { writeFileSync } from "node:fs";
let number = 0;
export default function (pi) {
  for (const name of EVENTS) {
    pi.on(name, (event) => {
      // What the conversation was so far comes again with these.
      const { context, ...rest } = event;
      const given = name === "turn_end" ? rest : { ...event };
      if (name === "agent_end") given.messages = event.messages.slice(-1);
      const text = JSON.stringify({ hook_event_name: name, event: given });
      writeFileSync(`${SENT}/${process.pid}-${number++}`, text);
    });
  }
}
"""
_DENY: Final = """export default function (pi) {
  pi.on("tool_call", (event) =>
    event.input?.command?.startsWith(WORD) ? { block: true, reason: "not allowed" } : undefined);
}
"""


class Pi(Client):
    """pi, asked with `-p`."""

    name = "pi"
    title = "pi"
    package = "@earendil-works/pi-coding-agent"
    program = "pi"
    settings = ".pi/extensions"
    untold = ("It has no subagents and no rules for tools, but for those of extensions.",)

    def configure(self, run: Run) -> None:
        run.variables["PI_OFFLINE"] = "1"
        model = {"id": MODEL, "name": "Mock", "reasoning": False, "input": ["text"],
                 "cost": {"input": 1, "output": 2, "cacheRead": 0.1, "cacheWrite": 0},
                 "contextWindow": 200_000, "maxTokens": 4_096}  # fmt: skip
        provider = {"baseUrl": f"{run.url}/v1", "api": "openai-completions",
                    "apiKey": "of-no-use", "models": [model]}  # fmt: skip
        folder = run.home / ".pi" / "agent"
        folder.mkdir(parents=True)
        (folder / "models.json").write_text(json.dumps({"providers": {"mock": provider}}))
        (folder / "settings.json").write_text(
            json.dumps({"defaultProvider": "mock", "defaultModel": MODEL})
        )

    def record(self, run: Run) -> None:
        events = [hook.event for hook in TOOLS[self.name].registration.hooks]
        text = _RECORDER.replace("EVENTS", json.dumps(events))
        text = text.replace("${SENT}", str(run.sent))
        (run.project / self.settings / "recorder.ts").write_text(text)

    def compare(self, run: Run, stored: Sequence[Stored]) -> Events:
        return plugin_recorder.compare_given(recorder.sent(run.sent), stored, self.name)

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["-p", "-a", text]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["-c", *self.prompt(run, text)]

    def command(self, line: str) -> Turn:
        return Call("bash", {"command": line})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        edits = [{"oldText": before, "newText": after}]
        return [Call("edit", {"path": str(path), "edits": edits})]

    def deny(self, run: Run, word: str) -> bool:
        # What it may do is said by extensions alone.
        text = _DENY.replace("WORD", json.dumps(word))
        folder = run.home / ".pi" / "agent" / "extensions"
        folder.mkdir(exist_ok=True)
        (folder / "deny.ts").write_text(text)
        return True
