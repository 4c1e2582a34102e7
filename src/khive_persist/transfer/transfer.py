"""Export and import, as programs call them."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import anyio.to_thread

from khive_persist.errors import InvalidFileError, InvalidQueryError
from khive_persist.models.node import Node
from khive_persist.models.purpose_registry import known_purposes, remember
from khive_persist.models.purposes import BUILT_IN_NAMES
from khive_persist.models.query import Filter
from khive_persist.models.records import RECORDS
from khive_persist.project import Project
from khive_persist.project_search import existing_project, find_project
from khive_persist.transfer.cells import Preference
from khive_persist.transfer.export import FORMS, ExportPart, Form, export, parts_of
from khive_persist.transfer.import_ import Imported, import_rows
from khive_persist.transfer.plain_documents import PlainRecords


async def export_records(
    output: Path | str,
    *records: type[Node],
    filters: Sequence[Filter] = (),
    form: Form | None = None,
    limit: int | None = None,
    force: bool = False,
    dir: Path | str | None = None,
) -> int:
    """Write records to one file for other programs: complete, private and synced on return.

    What waits in the spool is brought in before. Cancelled or failed, what was at the target is as
    it was.

    Args:
        output: The file, outside `.khive`.
        records: The classes of the records; without one, all that the project knows.
        filters: Conditions that all of them pass.
        form: `json`, `jsonl`, `csv`, `parquet` or `xlsx`; else by the file's ending.
        limit: The largest number of records in all.
        force: Whether to replace an existing file.
        dir: The directory that holds `.khive`.

    Returns:
        How many records were written.

    Raises:
        InvalidFileError: The target is there already, must not be written, or does not say its
            format.
        InvalidQueryError: A filter is wrong.
        MissingExtraError: The format needs a package that is not here.
        ProjectError: There is no project.
        StoreError: As its subclasses say.
        OSError: The target cannot be written.
    """
    project = await anyio.to_thread.run_sync(existing_project, dir)
    target = Path(output)
    parts = [part for record in records for part in parts_of(record, *filters)]
    if not records:
        parts = await anyio.to_thread.run_sync(every_part, project, filters)
    return await export(project, parts, target, form or form_of(target), limit=limit, force=force)


async def import_records(
    source: Path | str | IO[bytes],
    record: type[Node] | None = None,
    *,
    update: bool = False,
    preference: Preference | None = None,
    id_field: str | None = None,
    created_at_field: str | None = None,
    dir: Path | str | None = None,
) -> Imported:
    """Store what a file or a folder has: committed, synced and copied on return.

    Records are known by their ids, so that importing again changes nothing. What cannot be stored
    is kept in `quarantine/`. Cancelled, what was committed by then stays.

    Args:
        source: A file of `export_records`, but for Excel; JSON, JSON Lines, CSV or Markdown of
            any other program; a mirror folder, or a tar archive of one; a folder of Markdown; a
            `.khive`; an old database; or an open file with JSON, CSV or Markdown.
        record: The class of records that do not say what they are. Documents without `content`
            are the content of one.
        update: Whether to replace existing records with other content.
        preference: The one that counts where columns of a row of CSV or Parquet say something else
            than its `content`: `columns` or `content`; without it, the row is refused.
        id_field: The field of plain documents that has the id; else `id`, or a Markdown file's
            name.
        created_at_field: The field that has the time; else `created_at`, or the time of the file.
        dir: The directory that holds `.khive`, made where it is missing.

    Returns:
        Counts by the name of the purpose, and what was refused.

    Raises:
        InvalidFileError: The source's content is unknown or damaged; records before the damage are
            stored. Or an archive is refused, and nothing of it is.
        InvalidQueryError: A field is named, and no class.
        InvalidSettingsError: config.toml is wrong.
        MissingExtraError: Reading the source needs a package that is not here.
        ProjectError: The project cannot be used.
        StoreError: As its subclasses say; what was committed before stays.
        OSError: The source cannot be read.
    """
    if record is None and (id_field or created_at_field):
        raise InvalidQueryError("whose fields are they?", hint="name the class of the records")
    project = find_project(dir)
    default = None if record is None else record.purposes()[0]
    if default is not None:
        await anyio.to_thread.run_sync(project.make)
        await anyio.to_thread.run_sync(remember, project, default)
    project_purposes = await anyio.to_thread.run_sync(known_purposes, project)
    plain = None
    if record is not None and default is not None:
        plain = PlainRecords(record, default, id_field, created_at_field)
    return await import_rows(
        project,
        Path(source) if isinstance(source, str) else source,
        update=update,
        preference=preference,
        default=default,
        plain=plain,
        purposes=tuple(kind for kind in project_purposes if kind.name not in BUILT_IN_NAMES),
    )


def every_part(project: Project, filters: Sequence[Filter] = ()) -> list[ExportPart]:
    """Return all records of all kinds that a project knows, of those that pass every filter.

    Raises:
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
    """
    parts = [part for record in RECORDS for part in parts_of(record, *filters)]
    kinds = (kind for kind in known_purposes(project) if kind.name not in BUILT_IN_NAMES)
    return [*parts, *(ExportPart(Node, kind, tuple(filters)) for kind in kinds)]


def form_of(target: Path) -> Form:
    """Return the format that the ending of a file's name says.

    Raises:
        InvalidFileError: It says none.
    """
    ending = target.suffix.removeprefix(".").lower()
    for form in FORMS:
        if ending == form:
            return form
    raise InvalidFileError(
        f"{target.name} does not say its format", hint="name it: " + ", ".join(FORMS)
    )
