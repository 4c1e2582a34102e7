"""Tell which events a tool call should have: what no hook ever tells of is no gap."""

from typing import Final, NamedTuple

from khive_persist.tools import TOOLS, Ending

# Calls that the model's server runs by itself, and those that it passes on to an MCP server.
_SERVERS_CALLS: Final = ("srvtoolu_", "mcptoolu_")
_ENDED: Final[frozenset[Ending]] = frozenset({"done", "failed"})


class Expected(NamedTuple):
    """The events that the hooks of a call send: before it, after it, both or none."""

    pre: bool
    post: bool


def expected(client: str, name: str, tool_use_id: str, ending: Ending) -> Expected:
    """Return which events a call should have, by how it ended."""
    tool = TOOLS[client]
    is_silent = name in tool.silent_tools or tool_use_id.startswith(_SERVERS_CALLS)
    if is_silent or ending == "invalid":
        return Expected(pre=False, post=False)
    is_asked_first = tool.asks_first and ending == "denied"
    return Expected(pre=not is_asked_first, post=ending in _ENDED)
