"""Types of hook events: which of them begin a tool call, and which end one."""

from typing import Final

PRE: Final = ("pre_command", "pre_edit", "pre_agent_spawn", "pre_tool_use")
POST: Final = (
    "post_command", "post_edit", "post_agent_spawn", "post_tool_use", "post_tool_use_failure",
    "permission_denied",
)  # fmt: skip
