"""The beginnings of texts that Qwen Code puts in as the user's, and the kinds that they are."""

from typing import Final

INJECTED: Final = {
    "<task-notification>": "task_notification",
    "<system-reminder>": "meta",
    "<hook_context>": "context",
    "<session_context>": "context",
    "<state_snapshot>": "compaction",
    "This is the Qwen Code. We are setting up the context for our chat.": "context",
    "System: Please continue.": "context",
}
# Lines of the user's role that no user wrote, by the client's word for them.
SUBTYPES: Final = {
    "cron": "cron",
    "goal_runtime": "goal",
    "notification": "task_notification",
    "teammate_message": "teammate_message",
}
