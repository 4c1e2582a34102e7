"""Editing JSON text in place, and writing a settings file as a whole."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_persist.capture.hook_config.json_edit import InvalidJsonError, JsonText, Step
from khive_persist.capture.hook_config.settings_file import SettingsFile
from khive_persist.errors import InvalidSettingsError


def always(text: str | None) -> Callable[[JsonText | None], str | None]:
    """A change to this text, whatever was there."""
    return lambda _before: text


def json_file(path: Path) -> SettingsFile[JsonText]:
    return SettingsFile(path, JsonText, empty="{}\n")


def refusal(text: str, *, comments: bool = False) -> tuple[int, int]:
    with pytest.raises(InvalidJsonError) as caught:
        JsonText(text, comments=comments)
    return caught.value.line, caught.value.column


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", (1, 1)),
        ("  \n ", (2, 2)),
        ("{", (1, 2)),
        ('{"a": 1,}', (1, 9)),
        ('{"a": 1}\n x', (2, 2)),
        ('{\n  "a": 1\n  "b": 2\n}', (3, 3)),
        ('{"a": 1} // c', (1, 10)),
        ('{"a": "\t"}', (1, 8)),
        ('{"a": NaN}', (1, 7)),
        ('{"a": [1, -Infinity]}', (1, 11)),
        ("[1]", (1, 1)),
        ('"hooks"', (1, 1)),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", (1, 1)),
    ],
)
def test_what_is_no_json_object_is_refused_where_it_is_wrong(
    text: str, where: tuple[int, int]
) -> None:
    assert refusal(text) == where


def test_comments_are_for_the_tools_that_read_them() -> None:
    text = '{\n  // "a": {\n  "b": "// no comment /* */", /* c\n */ "d": 1\n}'
    assert refusal(text)[0] == 2
    assert JsonText(text, comments=True).value == {"b": "// no comment /* */", "d": "1"}
    assert refusal('{"a": 1 /* no end }', comments=True) == (1, 9)
    assert refusal('{"a": 1, // c\n}', comments=True) == (2, 1)


def test_numbers_of_any_length_are_json() -> None:
    digits = "1" * 10_000
    assert JsonText(f'{{"a": {digits}, "b": 1e999}}').value == {"a": digits, "b": "1e999"}


def last(text: str, *keys: str, comments: bool = False) -> tuple[JsonText, tuple[Step, ...]]:
    """The way over members of these keys to the last item of the last one."""
    parsed = JsonText(text, comments=comments)
    container, way = parsed.root, []
    for key in keys:
        position = [item.key for item in container.items].index(key)
        way.append(Step(container, position))
        container = parsed.container(way[-1].item)
    return parsed, (*way, Step(container, len(container.items) - 1))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": []}',
        '{"a": [ ]}',
        '{"a":[\n\t]}',
        '{"a": [1]}',
        '{"a": [1, 2 ]}',
        '{\r\n    "a": [\r\n        1\r\n    ]\r\n}\r\n',
        '{\n\t"a": [\n\t\t{}\n\t],\n\t"b": 1}',
        '\ufeff{"a": [1]}',
        '{\n"a":\n[\n1\n]\n}',
    ],
)
def test_an_item_comes_and_goes(text: str) -> None:
    parsed, way = last(text, "a")
    with_item = parsed.insert(way[-1].container, '"new"')
    again, way = last(with_item, "a")
    assert way[-1].item.value == "new"
    assert again.remove(way) == text


@pytest.mark.parametrize(
    "text", ["{}", "{\n}", '{"z": 1}', '{\n  "z": 1\n}\n', '{\r\n\t"z": {\r\n\t}\r\n}']
)
def test_new_containers_come_and_go_with_their_item(text: str) -> None:
    parsed = JsonText(text)
    with_item = parsed.insert(parsed.root, '"new"', [("a", "{}"), ("b", "[]")])
    again, way = last(with_item, "a", "b")
    value = again.value["a"]
    assert value == {"b": ["new"]}
    assert again.remove(way) == text


def test_a_new_item_is_written_as_the_file_is() -> None:
    text = '{\r\n\t"z": 1\r\n}'
    parsed = JsonText(text)
    assert parsed.insert(parsed.root, "1", [("a", "{}"), ("b", "[]")]) == (
        '{\r\n\t"z": 1,\r\n\t"a": {\r\n\t\t"b": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}'
    )
    parsed, way = last('{"a": [\n      {}\n  ]}', "a")
    assert parsed.insert(way[-1].container, "1") == '{"a": [\n      {},\n      1\n  ]}'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a": [\n  1, // one\n  "x"]}', '{"a": [\n  1 // one\n  ]}'),
        ('{"a": [\n  "x" /* mine */, 1]}', None),
        ('{"a": [\n  // mine\n  "x"\n]}', '{"a": [\n  // mine\n  \n]}'),
    ],
)
def test_comments_stay(text: str, left: str | None) -> None:
    parsed, way = last(text, "a", comments=True)
    position = [item.value for item in way[-1].container.items].index("x")
    rest = parsed.remove((*way[:-1], Step(way[-1].container, position)))
    assert rest == (left or '{"a": [\n   /* mine */ 1]}')
    JsonText(rest, comments=True)


def test_an_edit_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.json"
    file = json_file(path)
    assert file.edit(always(None)) is False
    assert not path.parent.exists()
    assert file.edit(always('{"é": 1}')) is True
    assert path.read_bytes() == '{"é": 1}'.encode()
    before = path.stat()
    assert file.edit(lambda text: text.text if text else None) is False
    assert path.stat() == before
    assert file.edit(always(None)) is True
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_an_edit_keeps_the_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    path.chmod(mode)
    json_file(path).edit(always('{"a": 1}'))
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_symbolic_link_stays_and_its_target_is_edited(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "settings.json"
    link = tmp_path / "home" / "settings.json"
    target.parent.mkdir()
    link.parent.mkdir()
    link.symlink_to("../dotfiles/settings.json")
    file = json_file(link)
    assert file.edit(always('{"a": 1}'))
    assert link.is_symlink()
    assert target.read_text() == '{"a": 1}'
    assert file.edit(always(None))
    assert link.is_symlink()
    assert not target.exists()


def test_a_change_of_another_program_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"a": 1}')
    seen = []

    def change(text: JsonText | None) -> str:
        assert text is not None
        seen.append(text.text)
        if len(seen) == 1:
            path.write_text('{"theirs": 1}')
        return text.text + "\n"

    assert json_file(path).edit(change)
    assert seen == ['{"a": 1}', '{"theirs": 1}']
    assert path.read_text() == '{"theirs": 1}\n'
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    texts = {b'{"a": "%s"}' % (b"x" * 100_000), b'{"b": "%s"}' % (b"y" * 100_000)}
    one, other = sorted(texts)
    path.write_bytes(one)
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for content in (other, one):
            json_file(path).edit(always(content.decode()))
    done.set()
    reader.join()
    assert seen <= texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n  "a": 1,\n}', r"settings\.json:3:1: not valid JSON \(.*\): it was left as it is; "),
        (b"[]", r"settings\.json:1:1: not an object: it was left as it is; correct it there"),
        (b'{"a": "\xff"}', r"settings\.json is not UTF-8 \(byte 8\): it was left as it is"),
    ],
)
def test_a_file_that_is_not_valid_is_left_alone(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    file = json_file(path)
    with pytest.raises(InvalidSettingsError, match=message):
        file.edit(always("{}"))
    with pytest.raises(InvalidSettingsError, match=message):
        file.read(lambda text: text)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_path_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match=r"cannot be read \(Is a directory\)"):
        json_file(tmp_path).edit(always("{}"))
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "settings.json"
    with pytest.raises(InvalidSettingsError, match="cannot be read"):
        json_file(path).edit(always("{}"))


def test_a_disk_that_is_full_leaves_the_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidSettingsError, match=r"cannot be written \(No space left on device"):
        json_file(path).edit(always('{"a": 1}'))
    assert path.read_text() == "{}"
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_writer_that_never_rests_is_told(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    turns = 0

    def change(settings: JsonText | None) -> str:
        nonlocal turns
        turns += 1
        path.write_text(f'{{"other": {turns}}}')
        return '{"mine": 1}'

    with pytest.raises(InvalidSettingsError, match="again and again"):
        json_file(path).edit(change)
    assert path.read_text() == f'{{"other": {turns}}}'
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
