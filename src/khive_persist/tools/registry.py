"""Register the clients: each tool of `purposes.HOOK_EVENTS` has a folder here, of its name.

`hooks.py` in it has a `TOOL`, `discovery.py` a `TRANSCRIPTS`, which is imported only where
transcripts are read. The drainer imports the modules of hooks: they do no I/O, and need only the
standard library and orjson.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.tools.tool import Tool

if TYPE_CHECKING:
    from khive_persist.tools.transcripts import Transcripts


def folder_of(tool: str) -> str:
    """Return the package of a tool."""
    return f"{__package__}.{tool.replace('-', '_')}"


# The key is the tool's name as `khive-hook --tool` takes it.
TOOLS: Final[dict[str, Tool]] = {
    tool: import_module(f"{folder_of(tool)}.hooks").TOOL for tool in HOOK_EVENTS
}


@cache
def transcripts_of(tool: str) -> "Transcripts":
    """Return what is known of a tool's transcripts."""
    transcripts: Transcripts = import_module(f"{folder_of(tool)}.discovery").TRANSCRIPTS
    return transcripts
