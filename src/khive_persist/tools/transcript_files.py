"""List the files in which tools keep transcripts, by the forms that they have."""

from pathlib import Path
from typing import Final, NamedTuple

LINES: Final = ".jsonl"
COMPRESSED: Final = ".jsonl.zst"
DOCUMENT: Final = ".json"
DATABASE: Final = ".db"


class InDatabase(NamedTuple):
    """A session that is rows of a database."""

    database: Path
    session_id: str


def in_database(path: Path) -> InDatabase | None:
    """Return what a path names that goes on from a database to a session; None for a file.

    Such a path is a transcript's, as any other: `~/.local/share/opencode/opencode.db/ses_…`.
    """
    database = path.parent
    is_there = database.suffix == DATABASE and database.is_file()
    return InDatabase(database, path.name) if is_there else None


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
