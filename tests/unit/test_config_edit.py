"""A setting is written into a text of TOML, and nothing else of it changes."""

import tomllib
from importlib.resources import files

import pytest

from khive_persist.capture.hook_config.toml_edit import InvalidTomlError
from khive_persist.maintenance.config_files.edit import with_value
from khive_persist.settings import Settings, dotted

TEMPLATE = (files("khive_persist") / "config.toml").read_text()


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        ("", "server.port", 9, "[server]\nport = 9\n"),
        ("# mine\n", "server.port", 9, "# mine\n\n[server]\nport = 9\n"),
        ("[server]\nport = 8  # eight\n", "server.port", 9, "[server]\nport = 9  # eight\n"),
        ("[server]\n# port = 8\n[sync]\n", "server.port", 9, "[server]\nport = 9\n[sync]\n"),
        ("[server]\naddress = 'a'\n\n[sync]\n", "server.port", 9,
         "[server]\naddress = 'a'\nport = 9\n\n[sync]\n"),
        ("[server]", "server.port", 9, "[server]\nport = 9\n"),
        ("[server] # here\r\n", "server.port", 9, "[server] # here\r\nport = 9\r\n"),
        ("server.port = 8\n[sync]\n", "server.port", 9, "server.port = 9\n[sync]\n"),
        ("[sync]\n# port = 8\n", "server.port", 9, "[sync]\n# port = 8\n\n[server]\nport = 9\n"),
        ("[redaction]\nallow = [ # a\n 'x', # b\n]\n", "redaction.allow", ["y"],
         '[redaction]\nallow = ["y"]\n'),
        ("[server]\nport = 0x9\n", "server.port", 9, "[server]\nport = 0x9\n"),
    ],
)  # fmt: skip
def test_a_value_takes_its_place(before: str, name: str, value: object, after: str) -> None:
    assert with_value(before, name, value) == after


def test_each_setting_of_the_file_that_init_writes_takes_the_line_of_its_default() -> None:
    for field, default in Settings._field_defaults.items():
        name, value = dotted(field), [*default] if isinstance(default, tuple) else default
        if value == [] or isinstance(value, str):
            value = ["a\x7f\"'\n"] if isinstance(value, list) else "b"
        text = with_value(TEMPLATE, name, value)
        table, key = name.split(".", 1)
        assert tomllib.loads(text)[table] == {key: value}, name
        assert len(text.splitlines()) == len(TEMPLATE.splitlines()), name


@pytest.mark.parametrize(
    "text", ["server = { port = 8 }\n", "[server]\nport.a = 1\n", "server = 5\n", "[[server]]\n"]
)
def test_what_is_written_in_a_way_of_its_own_is_refused(text: str) -> None:
    with pytest.raises(InvalidTomlError, match="not edited here"):
        with_value(text, "server.port", 9)
