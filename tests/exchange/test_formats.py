"""JSON documents in files: packed in any way, told apart by what is in them."""

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.errors import InvalidFileError, InvalidRecordError
from khive_persist.transfer.formats import FORMATS, Format, read_document
from tests.exchange.documents import write_document

DOCUMENT = {"a": [1, 2.5, None, True, "é\n😀"], "b": {"c": {}}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_a_document_comes_back_whatever_the_name(tmp_path: Path, format: Format) -> None:
    path = tmp_path / "state.txt"
    size = write_document(path, DOCUMENT, format)
    assert read_document(path).document == DOCUMENT
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (size, 0o600)
    assert os.listdir(tmp_path) == ["state.txt"]


@given(document=JSON)
def test_any_json_comes_back(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    for format in FORMATS:
        write_document(path, document, format)
        assert read_document(path).document == document


def test_each_format_is_what_its_name_says(tmp_path: Path) -> None:
    begins: dict[Format, bytes] = {
        "json": b'{\n  "a": [\n', "json-compact": b'{"a":[1,',
        "json-gzip": b"\x1f\x8b", "json-zstd": b"\x28\xb5\x2f\xfd",
    }  # fmt: skip
    for format, begin in begins.items():
        write_document(tmp_path / "x", DOCUMENT, format)
        assert (tmp_path / "x").read_bytes().startswith(begin)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "unknown content, it is empty"),
        (b"\x89PNG\r\n\x1a\n", "unknown content, it begins with 89 50 4e 47"),
        (b'{"a": ', "is no JSON"),
        (b"[NaN]", "is no JSON"),
        (gzip.compress(b"{}" * 1000, mtime=0)[:-12], "is damaged"),
        (b"\x1f\x8b\x08\x00garbage", "is damaged"),
        (b"\x28\xb5\x2f\xfdgarbage", "is damaged"),
        (gzip.compress(b"PK\3\4", mtime=0), "unknown content, it begins with 50 4b"),
    ],
)
def test_what_is_no_document_is_said_to_be_so(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InvalidFileError, match=said):
        read_document(path)


def test_a_byte_order_mark_is_no_part_of_a_document(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xef\xbb\xbf {} ")
    assert read_document(path).document == {}


@pytest.mark.parametrize("format", FORMATS)
def test_a_small_file_cannot_fill_the_memory(tmp_path: Path, format: Format) -> None:
    path = tmp_path / "bomb"
    write_document(path, "x" * 1_000_000, format)
    assert len(read_document(path, max_bytes=1_000_002).document) == 1_000_000
    with pytest.raises(InvalidFileError, match="unpacks to more than 1000001 bytes"):
        read_document(path, max_bytes=1_000_001)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_document(path, {"old": 1})
    with pytest.raises(InvalidRecordError):
        write_document(path, {"new": float("nan")})
    with pytest.raises(InvalidFileError, match="no format"):
        write_document(path, {}, "yaml")  # type: ignore[arg-type]
    assert read_document(path).document == {"old": 1}
    assert os.listdir(tmp_path) == ["x"]
