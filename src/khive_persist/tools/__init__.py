"""Describe each AI tool: its words for events, its hooks, and its transcripts.

Each tool has a folder. The drainer imports the modules of hooks: they do no I/O, and need only the
standard library and orjson.
"""

from typing import Final

from khive_persist.tools.claude_code import hooks as claude_code
from khive_persist.tools.codex import hooks as codex
from khive_persist.tools.gemini_cli import hooks as gemini_cli
from khive_persist.tools.tool import Hook, Program, Registration, Scope, Tool

# The key is the tool's name as `khive-hook --tool` takes it.
TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool for tool in (claude_code.TOOL, codex.TOOL, gemini_cli.TOOL)
}

__all__ = ["TOOLS", "Hook", "Program", "Registration", "Scope", "Tool"]
