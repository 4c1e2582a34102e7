"""Folders: the JSON mirror of a project, or the databases of a `.khive`."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from khive_persist import clock
from khive_persist.capture.spool import Spool, counted
from khive_persist.errors import InvalidFileError
from khive_persist.models.purpose_file import SUFFIX, definition_in, in_folder
from khive_persist.models.purpose_registry import FOLDER as REGISTER
from khive_persist.models.purposes import Purpose
from khive_persist.project import KHIVE, Project
from khive_persist.store import codec
from khive_persist.store.sqlite.catalogue import databases_in
from khive_persist.transfer.formats import unpacked
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.reading.database import read_database
from khive_persist.transfer.reading.documents import read_lines, read_values
from khive_persist.transfer.reading.markdown import MAX_CHARACTERS, read_markdown
from khive_persist.transfer.row_validation import SourceEntry

_MIRRORED: Final = re.compile(r"[A-Za-z_]\w*_\d{4}_\d\d_\d\d_[\w-]+\.(json|jsonl(?:\.gz)?)\Z")


def is_mirrored(name: str) -> bool:
    """Return whether a file is named as the mirror names its files."""
    return _MIRRORED.match(name) is not None


def is_stream(path: Path) -> bool:
    """Return whether a file is named as the mirror names its streams of events."""
    match = _MIRRORED.match(path.name)
    return match is not None and match[1] != "json"


def described_in(source: Path, known_purposes: Iterable[Purpose]) -> list[Purpose]:
    """Return the unknown kinds that a mirror, a `.khive` or the folder of one describes."""
    khive = source / KHIVE if (source / KHIVE).is_dir() else source
    described = in_folder(khive, known_purposes)
    described += in_folder(khive / "sessions", [*known_purposes, *described])
    return [*described, *in_folder(khive / REGISTER, [*known_purposes, *described], ".json")]


def read_folder(path: Path, plain: PlainRecords | None = None) -> Iterator[SourceEntry]:
    """Yield the rows of a mirror folder, or of all databases of a `.khive` or of what holds one.

    A file that the mirror did not name is left alone, and found as one without a row. Of any other
    folder they are its Markdown files, in whatever folder of it.

    Raises:
        InvalidFileError: It is neither.
        StoreError: As its subclasses say.
    """
    if (path / KHIVE).is_dir():
        path /= KHIVE
    if databases := databases_in(path):
        if plain is not None:
            plain.refuse_fields(path)
        spool = Spool(Project(path.parent))
        pending = spool.waiting(with_away=True) if path.name == KHIVE else []
        if pending:
            reason = f"{counted(pending)} wait there: drain that project first"
            yield SourceEntry("spool", None, reason=reason)
        for database in databases:
            yield from read_database(database, is_in_project=True)
        return
    files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
    if not any(_MIRRORED.match(file.name) for file in files):
        if notes := _markdown_in(path):
            for note in notes:
                yield _read_note(note, note.relative_to(path), plain)
            return
        raise InvalidFileError(f"{path} is no .khive and no mirror of one")
    if plain is not None:
        plain.refuse_fields(path)
    streams: dict[str, list[Path]] = {}
    for file in files:
        if file.name.endswith(SUFFIX) and definition_in(file) is not None:
            continue
        if not _MIRRORED.match(file.name) or file.is_symlink() or not file.is_file():
            yield SourceEntry(file.name, None, reason="not a file of a mirror, left alone")
        elif is_stream(file):
            # What is packed of a stream comes before its plain lines.
            streams.setdefault(file.name.removesuffix(".gz"), []).insert(0, file)
        else:
            with file.open("rb") as raw, unpacked(raw, str(file)) as content:
                for entry in read_values(as_characters(content)):
                    yield entry._replace(location=f"{file.name}: {entry.location}")
    for paths in streams.values():
        yield from read_stream(*paths)


def _markdown_in(path: Path) -> list[Path]:
    return [
        file
        for file in sorted(path.rglob("*.md"))
        if file.is_file()
        and not file.is_symlink()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]


def _read_note(path: Path, name: Path, plain: PlainRecords | None) -> SourceEntry:
    if plain is not None:
        plain = plain._replace(instant=clock.from_ns(path.stat().st_mtime_ns))
    with path.open("rb") as file, as_characters(file) as characters:
        text = characters.read(MAX_CHARACTERS + 1)
    return read_markdown(text, str(name), name.with_suffix("").as_posix(), plain)


def read_stream(*paths: Path) -> Iterator[SourceEntry]:
    """Yield the rows of one stream of the mirror; the last line of an id counts.

    Args:
        paths: The files of the stream, in order. A damaged one gives an entry without a row.
    """
    last: dict[Any, str] = {}
    for entry, id in _lines(paths):
        last[id] = entry.location
    for entry, id in _lines(paths):
        if id is None or (last[id] == entry.location and _deleted_id(entry) is None):
            yield entry


def _lines(paths: Sequence[Path]) -> Iterator[tuple[SourceEntry, str | None]]:
    for path in paths:
        try:
            with path.open("rb") as file, unpacked(file, str(path)) as plain:
                for entry in read_lines(as_characters(plain)):
                    entry = entry._replace(location=f"{path.name}: {entry.location}")
                    yield entry, entry.row[0] if entry.row is not None else _deleted_id(entry)
        except InvalidFileError as error:
            yield SourceEntry(path.name, None, reason=str(error)), None


def as_characters(plain: IO[bytes]) -> IO[str]:
    """Return the text of a file: what is no UTF-8 is seen later, by its lone surrogates."""
    return io.TextIOWrapper(plain, "utf-8-sig", errors="surrogateescape", newline="\n")


def _deleted_id(entry: SourceEntry) -> str | None:
    """Return the id of a line that says that its event was deleted."""
    if not isinstance(entry.raw, str) or '"deleted":true' not in entry.raw:
        return None
    document = codec.column(entry.raw)
    is_deletion = isinstance(document, dict) and document.get("deleted") is True
    id = document.get("id") if is_deletion else None
    return id if isinstance(id, str) else None
