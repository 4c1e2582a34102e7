"""`mcp install`, `status` and `uninstall`: the server in the settings of AI tools."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from khive_persist.cli.root import run
from khive_persist.errors import InvalidSettingsError
from khive_persist.mcp_server.registration import (
    SCOPES,
    McpScope,
    install,
    registered,
    settings_path,
    supporting_tools,
    uninstall,
)
from khive_persist.tools import TOOLS

JSON_TEXTS = [
    None,
    "",
    "{}",
    '{\n    "theme": "dark"\n}',
    '{"TABLE": {}}\n',
    '{\r\n  "TABLE": {\r\n    "mine": {"command": "x"}\r\n  },\r\n  "z": 1\r\n}\r\n',
    '\ufeff{ "TABLE" : {"mine":{"command":"x","args":[]} } }',
]
TOML_TEXTS = [
    None,
    "",
    "\n\n",
    'model = "m"',
    '# mine\r\nmodel = "m"\r\n\r\n[TABLE.mine]\r\ncommand = "x"\r\n',
    '[TABLE.mine]\ncommand = "x"\n# the end\n\n\n',
]


def texts_of(tool: str) -> list[str | None]:
    settings = TOOLS[tool].mcp
    assert settings is not None
    texts = TOML_TEXTS if settings.form == "toml" else JSON_TEXTS
    return [text and text.replace("TABLE", settings.table) for text in texts]


def server_of(tool: str, path: Path) -> Any:
    settings = TOOLS[tool].mcp
    assert settings is not None
    text = path.read_bytes().decode("utf-8-sig")
    document = tomllib.loads(text) if settings.form == "toml" else json.loads(text)
    return document[settings.table]["khive-persist"]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("tool", supporting_tools())
def test_what_was_there_comes_back_byte_for_byte(
    tool: str, scope: McpScope, tmp_path: Path
) -> None:
    path = settings_path(tool, scope, tmp_path)
    for text in texts_of(tool):
        path.unlink(missing_ok=True)
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        assert registered(tool, scope, tmp_path).state == "absent"
        assert install(tool, scope, tmp_path).is_written
        server = server_of(tool, path)
        words = server["command"]
        words = words if isinstance(words, list) else [words, *server["args"]]
        assert words[-1] == "mcp"
        # A file that others share names no path of this machine.
        assert (words[0] == "khive-persist") is (scope == "project")
        assert registered(tool, scope, tmp_path).state == "installed"
        content = path.read_bytes()
        assert not install(tool, scope, tmp_path).is_written
        assert path.read_bytes() == content
        assert uninstall(tool, scope, tmp_path).is_written
        # To a tool that reads JSON a file of white space is an empty object, which we leave.
        expected = "{}\n" if text == "" and path.suffix == ".json" else text
        assert (path.read_bytes().decode() if path.exists() else None) == expected
        assert not uninstall(tool, scope, tmp_path).is_written


@pytest.mark.parametrize("tool", ["claude-code", "codex"])
def test_what_others_wrote_meanwhile_stays(tool: str, tmp_path: Path) -> None:
    path = settings_path(tool, "project", tmp_path)
    install(tool, "project", tmp_path)
    if tool == "codex":
        added = '\n[mcp_servers.khive-persist.env]\nA = "1"\n\n[mcp_servers.other]\ncommand = "o"\n'
        path.write_text(path.read_text() + added)
    else:
        path.write_text(path.read_text().replace("]}", ']},\n    "other": {"command": "o"}', 1))
    assert registered(tool, "project", tmp_path).state == "installed"
    assert uninstall(tool, "project", tmp_path).is_written
    text = path.read_text()
    assert "khive-persist" not in text
    assert '"o"' in text


@pytest.mark.parametrize("tool", ["claude-code", "codex", "opencode"])
def test_an_old_command_is_renewed_and_another_server_of_that_name_stays(
    tool: str, tmp_path: Path
) -> None:
    path = settings_path(tool, "project", tmp_path)
    install(tool, "project", tmp_path)
    current = path.read_text()
    path.write_text(current.replace('"khive-persist"', '"/gone/bin/khive-persist"', 1)
                    if tool == "codex" else
                    current.replace(': "khive-persist"', ': "/gone/bin/khive-persist"')
                    .replace('["khive-persist"', '["/gone/bin/khive-persist"'))  # fmt: skip
    old = registered(tool, "project", tmp_path)
    assert old.state == "outdated"
    assert "/gone/bin/khive-persist" in old.problem
    assert install(tool, "project", tmp_path).is_written
    assert path.read_text() == current
    path.write_text(current.replace('"mcp"]', '"mcp", "--mine"]'))
    own = path.read_text()
    assert registered(tool, "project", tmp_path).state == "other"
    assert install(tool, "project", tmp_path).occupied
    assert uninstall(tool, "project", tmp_path).occupied
    assert path.read_text() == own


@pytest.mark.parametrize(
    ("tool", "text"),
    [
        ("claude-code", "{"),
        ("claude-code", '{"mcpServers": []}'),
        ("claude-code", "[]"),
        ("codex", "mcp_servers = 1"),
        ("codex", "= broken"),
    ],
)
def test_a_file_that_is_not_valid_is_left_as_it_is(tool: str, text: str, tmp_path: Path) -> None:
    path = settings_path(tool, "project", tmp_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with pytest.raises(InvalidSettingsError, match="left as it is"):
        install(tool, "project", tmp_path)
    assert path.read_text() == text


def test_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["mcp", "install", "claude-code", "codex", "--scope", "user"]) == 0
    assert "claude-code: the server is registered in" in capsys.readouterr().out
    assert run(["--dir", str(tmp_path), "mcp", "install", "claude-code", "--scope", "user"]) == 0
    assert f'"--dir", "{tmp_path}", "mcp"' in (Path.home() / ".claude.json").read_text()
    capsys.readouterr()
    assert run(["mcp", "status", "--json"]) == 0
    servers = json.loads(capsys.readouterr().out)["servers"]
    installed = [(s["tool"], s["scope"]) for s in servers if s["state"] == "installed"]
    assert installed == [("claude-code", "user"), ("codex", "user")]
    assert run(["mcp", "uninstall", "claude-code", "codex", "--scope", "user", "--json"]) == 0
    assert not (Path.home() / ".claude.json").exists()
    assert run(["mcp", "install", "pi"]) == 2
