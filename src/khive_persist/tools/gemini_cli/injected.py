"""The beginnings of texts that Gemini CLI puts in as the user's, and the kinds that they are."""

from typing import Final

INJECTED: Final = {
    "<session_context>": "context",
    "This is the Gemini CLI. We are setting up the context for our chat.": "context",
    "<hook_context>": "context",
    "<state_snapshot>": "compaction",
    "System: Please continue.": "context",
}
