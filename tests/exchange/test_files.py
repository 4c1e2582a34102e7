"""A value in a file: saved whole, found by its content, and told of."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import CallbackMetadata, load_document, save_document
from khive_persist.errors import InvalidFileError, InvalidRecordError
from khive_persist.transfer.formats import FORMATS, Format

DOCUMENT = {"a": [1, 2.5, None, True, "é\n😀"], "b": {"c": {}}}
KILLS = 8

SAVER = """
import sys, anyio
from khive_persist import save_document

async def main():
    for number in range(100_000):
        await save_document(sys.argv[1], [number] * 300_000, "json-compact")
        print(number, flush=True)

anyio.run(main)
"""


@pytest.mark.parametrize("format", FORMATS)
async def test_a_value_comes_back_and_is_told_of(tmp_path: Path, format: Format) -> None:
    path = tmp_path / "state"
    saved: list[CallbackMetadata] = []
    loaded: list[CallbackMetadata] = []

    async def on_load(told: CallbackMetadata) -> None:
        loaded.append(told)

    metadata = await save_document(path, DOCUMENT, format, on_save=saved.append)
    assert saved == [metadata]
    assert metadata[:4] == (path, format, path.stat().st_size, 1)
    assert await load_document(str(path), on_load=on_load) == DOCUMENT
    read = "json" if format == "json-compact" else format
    assert [told[:4] for told in loaded] == [(path, read, path.stat().st_size, 1)]
    assert metadata.timestamp <= loaded[0].timestamp


@pytest.mark.parametrize("umask", [0o000, 0o077])
async def test_the_file_is_private_and_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        await save_document(tmp_path / "state", 1)
    finally:
        os.umask(before)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["state"]


async def test_what_cannot_be_saved_is_told_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state"
    await save_document(path, DOCUMENT)
    failed: list[tuple[Exception, CallbackMetadata]] = []

    def on_error(error: Exception, told: CallbackMetadata) -> None:
        failed.append((error, told))

    cases: list[tuple[type[Exception], Path, Any, Any]] = [
        (InvalidRecordError, path, {"cost": float("nan")}, "json"),
        (InvalidRecordError, path, object(), "json-gzip"),
        (InvalidFileError, path, {}, "yaml"),
        (InvalidFileError, tmp_path / "absent" / "state", {}, "json"),
        (InvalidFileError, tmp_path, {}, "json"),
    ]
    for wrong, where, document, format in cases:
        failed.clear()
        with pytest.raises(wrong) as caught:
            await save_document(where, document, format, on_error=on_error)
        assert [error for error, _ in failed] == [caught.value]
        assert failed[0][1][:4] == (where, format, 0, 0)
    assert await load_document(path) == DOCUMENT
    assert os.listdir(tmp_path) == ["state"]


async def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    failed: list[tuple[str, CallbackMetadata]] = []

    async def on_error(error: Exception, told: CallbackMetadata) -> None:
        failed.append((type(error).__name__, told))

    with pytest.raises(InvalidFileError, match="unknown content, it begins with 89 50 4e 47"):
        await load_document(path, on_error=on_error)
    with pytest.raises(FileNotFoundError):
        await load_document(tmp_path / "absent", on_error=on_error)
    await save_document(path, "x" * 1_000)
    with pytest.raises(InvalidFileError, match="unpacks to more"):
        await load_document(path, max_bytes=100, on_error=on_error)
    assert [name for name, _ in failed] == [
        "InvalidFileError",
        "FileNotFoundError",
        "InvalidFileError",
    ]
    assert {told[1:4] for _, told in failed} == {("", 0, 0)}


async def test_a_callback_that_raises_does_not_take_the_file_away(tmp_path: Path) -> None:
    raised: list[str] = []

    def on_save(told: CallbackMetadata) -> None:
        raise KeyError("the callback")

    def on_error(error: Exception, told: CallbackMetadata) -> None:
        raised.append(f"{error!r} {told.items}")

    await save_document(tmp_path / "state", 1, on_save=on_save, on_error=on_error)
    assert await load_document(tmp_path / "state", on_load=on_save, on_error=on_error) == 1
    assert raised == ["KeyError('the callback') 1"] * 2


async def test_a_value_is_saved_as_it_is_at_the_call(tmp_path: Path) -> None:
    document = {"n": 1}
    saving = asyncio.create_task(save_document(tmp_path / "state", document))
    await asyncio.sleep(0)
    document["n"] = 2
    await saving
    assert await load_document(tmp_path / "state") == {"n": 1}


async def test_several_that_save_to_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "state"
    documents = [[number] * (10_000 * number) for number in range(1, 9)]
    for _ in range(5):
        async with anyio.create_task_group() as group:
            for document in documents:
                group.start_soon(save_document, path, document)
        assert await load_document(path) in documents
        assert os.listdir(tmp_path) == ["state"]


def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        threading.Timer(kill * 0.002, process.send_signal, [signal.SIGKILL]).start()
        said = [int(line) for line in process.communicate()[0].splitlines(keepends=False)]
        document = anyio.run(load_document, path)
        assert len(set(document)) == 1
        assert len(document) == 300_000
        assert document[0] >= (said[-1] if said else 0)
