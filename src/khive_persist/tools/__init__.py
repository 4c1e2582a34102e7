"""What is particular to each AI tool: its words for events, and how its hooks are registered.

One file a tool, with no I/O in it. The standard library and orjson only: the drainer imports this.
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
