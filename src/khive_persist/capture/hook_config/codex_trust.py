"""Find our hooks that Codex does not trust: it skips those, `codex exec` without a word.

Its user's config.toml has a table `hooks.state."FILE:EVENT:GROUP:HOOK"` for each hook that was
looked at, with a hash of what was seen, and `enabled`. We read it and never write it. The hash is
that of the event, the matcher and the hook as compact JSON with sorted keys, as 0.169 and 0.171 do.
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from khive_persist.capture.hook_config.entry import Entry
from khive_persist.capture.hook_config.install import settings_path

_WORD_START: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GROUP: Final = 2


def problems_of(path: Path, entries: Sequence[Entry], project_root: Path) -> list[str]:
    """Return which of our hooks Codex does not run, as nobody said that it may, each one line."""
    state = _state(settings_path("codex", "user", project_root).with_name("config.toml"))
    untrusted, modified, disabled = [], [], []
    for entry in entries:
        event = _WORD_START.sub("_", entry.event).lower()
        position = (event, entry.way[_GROUP].position, entry.way[-1].position)
        record = state.get((os.path.realpath(path), *position), {})
        if not record.get("trusted_hash"):
            untrusted.append(entry.event)
        elif record["trusted_hash"] != _hash(event, entry):
            modified.append(entry.event)
        elif record.get("enabled") is False:
            disabled.append(entry.event)
    problems = []
    if untrusted:
        quantity = "none" if len(untrusted) == len(entries) else "not all"
        problems.append(
            f"Codex trusts {quantity} of our hooks in {path}, and skips {', '.join(untrusted)}:"
            ' start `codex` there, and choose "Trust all and continue"'
        )
    if modified:
        problems.append(
            f"Codex trusts what our hooks in {path} were before, and skips {', '.join(modified)}:"
            ' start `codex` there, and choose "Trust all and continue"'
        )
    if disabled:
        problems.append(f"Codex has our hooks in {path} turned off for {', '.join(disabled)}")
    return problems


def _hash(event: str, entry: Entry) -> str:
    """Return the hash that Codex writes for a hook that it may trust."""
    group, hook = entry.way[_GROUP].item.value, entry.way[-1].item.value
    assert isinstance(group, Mapping)
    assert isinstance(hook, Mapping)
    definition = {name: hook[name] for name in ("command", "type", "statusMessage") if name in hook}
    definition |= {"async": hook.get("async", False), "timeout": int(hook.get("timeout", 600))}
    identity: dict[str, object] = {"event_name": event, "hooks": [definition]}
    if "matcher" in group:
        identity["matcher"] = group["matcher"]
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _state(config: Path) -> dict[tuple[str, str, int, int], dict[str, Any]]:
    """Return Codex's record of each hook, by the file, the event and its position there."""
    try:
        hooks = tomllib.loads(config.read_text("utf-8")).get("hooks")
    except (OSError, ValueError):
        # `switches` says why it cannot be read.
        return {}
    state = hooks.get("state") if isinstance(hooks, dict) else None
    records = {}
    for key, value in (state if isinstance(state, dict) else {}).items():
        parts = key.rsplit(":", 3)
        if len(parts) == 4 and isinstance(value, dict):
            file, event, group, hook = parts
            if group.isdecimal() and hook.isdecimal():
                records[os.path.realpath(file), event, int(group), int(hook)] = value
    return records
