"""The client's words, and its hooks."""

from typing import Final

from khive_persist.tools import payload_fields
from khive_persist.tools.tool import Hook, Registration, Tool

TOOL: Final = Tool(
    name="made-up",
    title="Made Up",
    describe=lambda payload: (
        payload_fields.plain_fields(payload) | {"event_type": str(payload["hook_event_name"])}
    ),
    call_events=("before", "after", "after"),
    transcript_folders=("/.made-up/",),
    registration=Registration(
        project_file=".made-up/hooks.json",
        local_file="",
        user_file=".made-up/hooks.json",
        user_variable="MADE_UP_HOME",
        user_variable_file="hooks.json",
        hooks=(Hook("before", 5), Hook("after", 5)),
        entry_name="",
        comments=False,
        runs_once=True,
        program=None,
        topmost="",
        by_hand={"project": (), "local": (), "user": ()},
    ),
)
