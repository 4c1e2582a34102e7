"""OpenCode, and Kilo, which is a fork of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from clients import install, plugin_recorder, recorder
from clients.client import Calls, Client
from clients.comparison import Events, Stored
from clients.mock_model import MODEL
from clients.run import Run
from clients.script import Call, Turn

_RECORDER: Final = """import { writeFileSync } from "node:fs"
const EVENTS = ["session.created", "session.deleted", "session.idle", "session.error",
  "session.compacted", "permission.asked", "permission.updated", "permission.replied",
  "question.asked", "question.replied", "question.rejected", "todo.updated"]
let number = 0
const ended = new Set()
const titles = new Map()
function write(name, given) {
  const text = JSON.stringify({ hook_event_name: name, ...given })
  writeFileSync(`SENT/${process.pid}-${number++}`, text)
}
// Of what is told again and again, the end of a message and of a failed call, and a new title.
function isOfInterest({ type, properties }) {
  const { info, part } = properties ?? {}
  if (type === "session.created" || type === "session.updated") {
    const before = titles.get(info.id)
    titles.set(info.id, info.title)
    if (type === "session.updated") return before !== undefined && before !== info.title
  }
  let id = ""
  if (type === "message.updated" && info.role === "assistant" && info.time?.completed) id = info.id
  if (type === "message.part.updated" && part.state?.status === "error") id = part.id
  const isFirst = id !== "" && !ended.has(id)
  ended.add(id)
  return isFirst || EVENTS.includes(type)
}
export const Recorder = async () => ({
  event: async ({ event }) => {
    if (!isOfInterest(event)) return
    const { part } = event.properties
    write(event.type, part ? { event, tool_input: part.state.input } : { event })
  },
  "chat.message": async (input, output) => write("chat.message", { input, output }),
  "tool.execute.before": async (input, output) =>
    write("tool.execute.before", { tool_input: output.args }),
  "tool.execute.after": async (input, output) =>
    write("tool.execute.after", { tool_input: input.args, tool_response: output }),
})
"""


class OpenCode(Client):
    """OpenCode, asked with `run`."""

    name = "opencode"
    title = "OpenCode"
    package = "opencode-ai"
    plugin_package = "@opencode-ai/plugin"
    program = "opencode"
    settings = ".opencode/plugins"
    untold: tuple[str, ...] = (
        "No hook is called after a call that failed or was refused: that is read from its bus.",
    )
    # Of its settings in the home directory, and the beginning of its variables.
    _file = ".config/opencode/opencode.json"
    _prefix = "OPENCODE"

    def configure(self, run: Run) -> None:
        for name in ("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD"):
            run.variables[f"{self._prefix}_DISABLE_{name}"] = "1"
        run.variables["KILO_TELEMETRY_LEVEL"] = "off"
        # Else it waits 70 s for the packages of plugins, which npm cannot fetch here.
        run.variables["npm_config_fetch_retries"] = "0"
        self._write(run, {"edit": "allow", "bash": {"*": "allow"}})

    def record(self, run: Run) -> None:
        folder = run.project / self.settings
        # It has npm install them into each folder of settings where they are not.
        packages = run.program.parents[2] / install.PLUGIN_PACKAGES
        for place in (folder.parent, (run.home / self._file).parent):
            for path in packages.iterdir() if self.plugin_package else ():
                (place / path.name).symlink_to(path)
        (folder / "recorder.js").write_text(_RECORDER.replace("SENT", str(run.sent)))

    def compare(self, run: Run, stored: Sequence[Stored]) -> Events:
        return plugin_recorder.compare_given(recorder.sent(run.sent), stored, self.name)

    def prompt(self, run: Run, text: str) -> list[str]:
        return ["run", text]

    def resume(self, run: Run, text: str) -> list[str]:
        return ["run", "--continue", text]

    def command(self, line: str) -> Turn:
        return Call("bash", {"command": line, "description": "Run it"})

    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        change = {"filePath": str(path), "oldString": before, "newString": after}
        return [Call("read", {"filePath": str(path)}), Call("edit", change)]

    def subagent(self, run: Run, prompt: str) -> Calls:
        arguments = {"description": "Help", "prompt": prompt, "subagent_type": "general"}
        return [Call("task", arguments)]

    def deny(self, run: Run, word: str) -> bool:
        self._write(run, {"edit": "allow", "bash": {"*": "allow", f"{word} *": "deny"}})
        return True

    def _write(self, run: Run, permission: dict[str, Any]) -> None:
        model = {"name": "Mock", "cost": {"input": 1, "output": 2, "cache_read": 0.1},
                 "limit": {"context": 200_000, "output": 8_000}}  # fmt: skip
        provider = {"npm": "@ai-sdk/openai-compatible", "name": "Mock", "models": {MODEL: model},
                    "options": {"baseURL": f"{run.url}/v1", "apiKey": "of-no-use"}}  # fmt: skip
        settings = {"model": f"mock/{MODEL}", "autoupdate": False, "share": "disabled",
                    "provider": {"mock": provider}, "permission": permission}  # fmt: skip
        path = run.home / self._file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))


class Kilo(OpenCode):
    """Kilo, asked with `run`."""

    name = "kilo"
    title = "Kilo"
    package = "@kilocode/cli"
    plugin_package = ""
    program = "kilo"
    settings = ".kilo/plugins"
    starts_once = True
    keeps_cut_answers = False
    untold = (
        *OpenCode.untold,
        "It writes down no tokens of an answer whose tool Ctrl-C cuts off.",
        "Two that start at once in a new home fail: both make its database.",
    )
    _file = ".config/kilo/kilo.json"
    _prefix = "KILO"
