"""Our plugin for OpenCode and its forks: `plugin.js`, with the command of our hook in it."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from khive_persist.tools.tool import Hook

NAME: Final = "khive-persist.js"
_SOURCE: Final = Path(__file__).with_name("plugin.js")
_COMMAND: Final = '"@COMMAND@"'

# The plugin sends these, some of them only where they say something new. No one is told where a
# hook ends with an error, so that it leaves a note of what was lost to whoever asks.
HOOKS: Final = tuple(
    Hook(event, 0, blocks=True)
    for event in (
        "session.created", "session.updated", "session.status", "session.idle", "session.error",
        "session.compacted", "session.deleted", "experimental.session.compacting", "chat.message",
        "command.execute.before", "tool.execute.before", "tool.execute.after",
        "message.part.updated", "message.updated", "permission.asked", "permission.updated",
        "permission.replied", "question.asked", "question.replied", "question.rejected",
        "todo.updated",
    )
)  # fmt: skip


def contents(command_of: Callable[[Hook], str]) -> Mapping[str, str]:
    """Return the plugin by its file's name, as `OwnFiles.contents` requires.

    All events have one command.
    """
    return {NAME: _source().replace(_COMMAND, json.dumps(command_of(HOOKS[0])))}


@cache
def _source() -> str:
    return _SOURCE.read_text("utf-8")
