"""The beginnings of texts that Copilot CLI puts in as the user's, and the kinds that they are."""

from typing import Final

from khive_persist.tools.injected import COMMAND

INJECTED: Final = {
    "<system_notification>": "task_notification",
    "<user_shell_command>": COMMAND,
    "<user_shell_command_output>": COMMAND,
    "<skill-context": "context",
}
