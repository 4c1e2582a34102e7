"""The second recorder: a shell command beside each of our hooks, with nothing of ours in it.

It writes its stdin to a file of its own. What lies there afterwards is what the client sent.
"""

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any, Final

_OURS: Final = "khive-hook"
_COMMAND_KEYS: Final = ("command", "bash")


def script(folder: Path, answer: str = "") -> Path:
    """Write the recorder, which prints `answer`; return its path.

    The folder of what it gets is `folder/sent`.
    """
    path = folder / "recorder.sh"
    lines = ["#!/bin/sh", f'cat >>{shlex.quote(str(folder / "sent"))}/"$$"']
    lines += [f"printf '%s' {shlex.quote(answer)}"] if answer else []
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def add_to_json(settings: Path, command: str) -> None:
    """Put the recorder beside each of our hooks in a settings file, in the same group."""
    document = json.loads(settings.read_text("utf-8"))
    _add(document, command)
    settings.write_text(json.dumps(document, indent=1), "utf-8")


def add_to_toml(settings: Path, command: str) -> None:
    """The same for a file with a list `[[hooks]]` of tables, whose values are texts or numbers."""
    text = settings.read_text("utf-8")
    for hook in tomllib.loads(text).get("hooks", ()):
        if _is_ours(hook):
            beside = hook | {"command": command}
            lines = [f"{key} = {json.dumps(value)}" for key, value in beside.items()]
            text += "\n".join(["", "[[hooks]]", *lines, ""])
    settings.write_text(text, "utf-8")


def sent(folder: Path) -> list[str]:
    """Return the text of each event that the recorder was given."""
    return [path.read_text("utf-8").strip() for path in sorted(folder.iterdir())]


def _add(node: Any, command: str) -> None:
    if isinstance(node, dict):
        for value in node.values():
            _add(value, command)
    elif isinstance(node, list):
        for item in list(node):
            if _is_ours(item):
                replaced = {key: command for key in _COMMAND_KEYS if key in item}
                # Of two hooks of one name Qwen Code runs the first.
                replaced |= {"name": "recorder"} if "name" in item else {}
                node.append(item | replaced)
            else:
                _add(item, command)


def _is_ours(item: Any) -> bool:
    return isinstance(item, dict) and any(
        _OURS in item[key]
        for key in _COMMAND_KEYS
        if isinstance(item.get(key), str)
    )  # fmt: skip
