"""The beginnings of texts that Droid puts in as the user's, and the kinds that they are."""

from typing import Final

INJECTED: Final = {
    "<system-reminder>": "meta",
    "<system-notification>": "meta",
    "Background task ": "task_notification",
    "# Task Tool Invocation\n": "task",
    "Request interrupted by user": "interruption",
}
