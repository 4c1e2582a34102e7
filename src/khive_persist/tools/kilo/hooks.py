"""Kilo, a fork of OpenCode: its words and its plugins are the same.

Seen on 7.7.7. The cost of an answer that started subagents has theirs in it.
"""

from collections.abc import Mapping
from typing import Final

from khive_persist.tools.opencode.hooks import CALL_EVENTS, ENDINGS, describe
from khive_persist.tools.opencode.plugin import HOOKS, contents
from khive_persist.tools.tool import OwnFiles, Tool


def sends(payload: Mapping[str, object]) -> bool:
    """Return whether a payload is that of our plugin in Kilo, whoever's file it lies in."""
    return payload.get("client") == TOOL.name and "sequence" in payload


TOOL: Final = Tool(
    name="kilo",
    title="Kilo",
    describe=describe,
    endings=ENDINGS,
    call_events=CALL_EVENTS,
    transcript_folders=("/kilo/kilo.db/",),
    transcript_file=r"/kilo/[^/]+\.db/ses_[^/]+\Z",
    sends=sends,
    registration=OwnFiles(
        project_folder=".kilo/plugins",
        user_folder=".config/kilo/plugins",
        user_variable="XDG_CONFIG_HOME",
        user_variable_folder="kilo/plugins",
        contents=contents,
        hooks=HOOKS,
        by_hand={"project": (), "local": (), "user": ()},
        runs_once=True,
        topmost=".git",
    ),
)
