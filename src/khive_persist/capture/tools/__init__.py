"""What is particular to each AI tool: its words for events, and how its hooks are registered.

One file a tool, with no I/O in it. The standard library and orjson only: the drainer imports this.
"""

from typing import Final

from khive_persist.capture.tools import claude_code, codex, gemini_cli
from khive_persist.capture.tools.tool import Hook, Program, Registration, Scope, Tool

# The key is the tool's name as `khive-hook --tool` takes it.
TOOLS: Final[dict[str, Tool]] = {
    tool.name: tool for tool in (claude_code.TOOL, codex.TOOL, gemini_cli.TOOL)
}

__all__ = ["TOOLS", "Hook", "Program", "Registration", "Scope", "Tool"]
