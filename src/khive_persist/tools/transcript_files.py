"""List the files in which tools keep transcripts, by the forms that they have."""

from pathlib import Path
from typing import Final

LINES: Final = ".jsonl"
COMPRESSED: Final = ".jsonl.zst"
DOCUMENT: Final = ".json"


def in_folder(folder: Path, pattern: str = "*") -> list[Path]:
    """List the transcripts in a folder and below it, of whatever form, in order of their paths.

    Of a session that is there both compressed and not, it is the one that is not.
    """
    paths = {path for form in (LINES, COMPRESSED) for path in folder.rglob(pattern + form)}
    paths |= set(folder.rglob(f"session-{pattern}{DOCUMENT}"))
    packed = {path for path in paths if path.name.endswith(COMPRESSED)}
    return sorted(paths - {path for path in packed if path.with_suffix("") in paths})


def folders_in(path: Path) -> list[Path]:
    """List the folders in a folder, in order; none where it cannot be read."""
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return []
