"""The beginnings of texts that Codex puts in as the user's, and the kinds that they are."""

from typing import Final

from khive_persist.tools.injected import COMMAND

INJECTED: Final = {
    "<environment_context>": "context",
    "<user_instructions>": "context",
    "<INSTRUCTIONS>": "context",
    "# AGENTS.md instructions": "context",
    "<skill>": "context",
    "<user_action>": "context",
    "<hook_prompt": "context",
    "<codex_internal_context": "context",
    "<recommended_plugins>": "context",
    "<turn_aborted>": "interruption",
    "<subagent_notification>": "task_notification",
    "<user_shell_command>": COMMAND,
    "The following is the Codex agent history": "context",
}
