"""Describe each AI tool: its words for events, its hooks, and its transcripts; a folder a tool."""

from khive_persist.tools.registry import TOOLS, transcripts_of
from khive_persist.tools.tool import (
    Ending,
    Hook,
    McpSettings,
    OwnFiles,
    Program,
    Registration,
    Scope,
    Tool,
)

__all__ = [
    "TOOLS",
    "Ending",
    "Hook",
    "McpSettings",
    "OwnFiles",
    "Program",
    "Registration",
    "Scope",
    "Tool",
    "transcripts_of",
]
