"""Values of a program in files: saved and loaded in one call."""

from pathlib import Path
from typing import Any, Unpack

import anyio.to_thread

from khive_persist import clock
from khive_persist.store.callbacks import CallbackMetadata, CallbackOptions, Callbacks
from khive_persist.transfer.formats import (
    MAX_DOCUMENT_BYTES,
    Format,
    read_document,
    to_json,
    write_json,
)


async def save_document(
    path: Path | str, document: Any, format: Format = "json", **callbacks: Unpack[CallbackOptions]
) -> CallbackMetadata:
    """Save a value to a file, as it is now: the file is whole and synced on return.

    It is written beside its place, private (0600), synced and then renamed, and so is the folder.
    A concurrent reader, and a crash or a cancellation, finds the old file or the new. Of
    several that save to one file at once, the last to end stays.

    Args:
        path: The file, whatever the name; a link is followed. The folder exists already.
        document: A value that JSON can hold.
        format: `json` is indented, `json-compact` is not, `json-gzip` and `json-zstd` are packed.
        callbacks: Callbacks, as in `CallbackOptions`.

    Returns:
        What `on_save` is told.

    Raises:
        InvalidFileError: There is no such format, no such folder, or no file can be there.
        InvalidRecordError: The document is not JSON.
        MissingExtraError: `json-zstd` needs a package that is not here.
        OSError: It cannot be written; what was there is as it was.
    """
    path, reporter = Path(path), Callbacks(**callbacks)
    try:
        plain = to_json(document, format)
        size = await anyio.to_thread.run_sync(write_json, path, plain, format)
    except Exception as error:
        await reporter.failed(error, CallbackMetadata(path, format, 0, 0, clock.now()))
        raise
    metadata = CallbackMetadata(path, format, size, 1, clock.now())
    await reporter.tell(reporter.on_save, metadata)
    return metadata


async def load_document(
    path: Path | str, *, max_bytes: int = MAX_DOCUMENT_BYTES, **callbacks: Unpack[CallbackOptions]
) -> Any:
    """Return the value of a file; its content, not its name, determines the format.

    Args:
        path: The file.
        max_bytes: The largest size of the unpacked content.
        callbacks: Callbacks, as in `CallbackOptions`.

    Raises:
        InvalidFileError: Its content is unknown, damaged, too large, or not JSON.
        MissingExtraError: It is packed with zstd, and the package for it is not here.
        OSError: It cannot be read.
    """
    path, reporter = Path(path), Callbacks(**callbacks)
    try:
        read = await anyio.to_thread.run_sync(lambda: read_document(path, max_bytes=max_bytes))
    except Exception as error:
        await reporter.failed(error, CallbackMetadata(path, "", 0, 0, clock.now()))
        raise
    metadata = CallbackMetadata(path, read.format, read.bytes, 1, clock.now())
    await reporter.tell(reporter.on_load, metadata)
    return read.document
