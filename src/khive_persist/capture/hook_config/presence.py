"""Find the clients that are on this machine: a program on PATH, or a client's folder at home."""

import os
from pathlib import Path
from typing import Final

from khive_persist.capture.hook_config.versions import programs_of
from khive_persist.tools import TOOLS, OwnFiles, Tool

# Folders that many programs share: only what is so deep in them is one client's.
_SHARED_DEPTHS: Final = {".config": 2, ".local": 3, "Documents": 2}


def found_clients() -> dict[str, Path]:
    """Return what tells that a tool is here, by the tool's name: its program, else its folder."""
    found = {tool: _trace_of(client) for tool, client in TOOLS.items()}
    return {tool: path for tool, path in found.items() if path is not None}


def _trace_of(tool: Tool) -> Path | None:
    program = next(programs_of(tool), None)
    if program is not None:
        return Path(program)
    return next((folder for folder in _folders_of(tool) if folder.is_dir()), None)


def _folders_of(tool: Tool) -> list[Path]:
    """Return the folders that a tool keeps its own settings and sessions in."""
    registration = tool.registration
    moved = os.environ.get(registration.user_variable) if registration.user_variable else None
    user = (
        registration.user_folder if isinstance(registration, OwnFiles) else registration.user_file
    )
    below_home = [user, *(folder.lstrip("/") for folder in tool.transcript_folders)]
    folders = [Path(moved)] if moved else []
    for path in below_home:
        parts = Path(path).parts
        depth = _SHARED_DEPTHS.get(parts[0], 1) if parts else 0
        # A folder without a dot may be anybody's.
        if parts and len(parts) >= depth and (depth > 1 or parts[0].startswith(".")):
            folders.append(Path.home().joinpath(*parts[:depth]))
    return folders
