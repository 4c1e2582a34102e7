"""Large documents of a column stand in an answer as they are, and say what their values say."""

import json

import pytest

from khive_persist.store import codec
from khive_persist.store.json_values import Raw
from khive_persist.store.large_json import LARGE_CHARACTERS, shown_column

FILLING = "x" * LARGE_CHARACTERS


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a":"{FILLING}","b":[1,-2.5e10,true,null,12345678901234567890],"c":{{"é":"\\u00e9\\n"}}}}',
        "[" + '{"a":[1,20]},' * 20_000 + "0]",
        json.dumps("é" * LARGE_CHARACTERS),
        " " * LARGE_CHARACTERS + "7",
    ],
)
def test_a_large_document_stands_as_it_is(text: str) -> None:
    shown = shown_column(text)
    assert isinstance(shown, Raw)
    line = codec.dump_line({"content": shown})
    assert line == b'{"content":%b}\n' % text.encode()
    assert json.loads(line)["content"] == codec.column(text)


@pytest.mark.parametrize("at", [0, LARGE_CHARACTERS - 3, 2 * LARGE_CHARACTERS])
@pytest.mark.parametrize(
    "odd",
    ["1e999", "1E+400", "-12e0400", "9" * 400, '"\\ud800"', '"\\uDFFF"', '"\ud800"', "\n1", "\r1"],
)
def test_one_that_would_be_shown_otherwise_is_read(odd: str, at: int) -> None:
    text = f'["{"x" * at}",{odd},"{FILLING}"]'
    assert codec.dump_lossy(shown_column(text)) == codec.dump_lossy(codec.column(text))
    assert not isinstance(shown_column(text), Raw)


@pytest.mark.parametrize("text", [f'["{FILLING}"', f'["{FILLING}",]', f'"{FILLING}\x01"', FILLING])
def test_one_that_is_no_json_is_text(text: str) -> None:
    assert shown_column(text) == text


def test_a_small_one_is_read() -> None:
    assert [shown_column(text) for text in ("[1]", "x", None, 7)] == [[1], "x", None, 7]
