"""Our hooks in a TOML file: every byte that is not ours stays."""

import tomllib
from pathlib import Path

import pytest

from khive_persist.capture.hook_config import install, settings_path, status, uninstall
from khive_persist.errors import InvalidSettingsError
from khive_persist.tools import TOOLS

TOOL = "kimi-code"
EVENTS = [hook.event for hook in TOOLS[TOOL].registration.hooks]
THEIRS = '[[hooks]]\nevent = "Stop"\ncommand = "notify-send done" # mine\n'


@pytest.fixture
def path(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    config = settings_path(TOOL, "user", tmp_path)
    config.parent.mkdir(parents=True)
    assert config.is_relative_to(home)
    return config


def hooks(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(path.read_bytes().decode()).get("hooks", [])
    return found


def is_ours(hook: dict[str, object]) -> bool:
    return "khive-hook --tool" in str(hook["command"])


FILES = {
    "empty": "",
    "a line end": "\n",
    "white space": " \n\t\n",
    "windows' white space": "\r\n\r\n",
    "a comment": "# mine",
    "no line end": 'default_model = "m"',
    "a line end each": 'a = 1\n\n[providers.x]\ntype = "openai" # here\n\n\n',
    "CRLF": "# é日本\r\na = 1\r\n[t]\r\nb = [\r\n  1, # one\r\n]\r\n",
    "theirs": f"a = 1\n\n{THEIRS}",
    "theirs twice, divided": f"{THEIRS}\n[x]\ny = 1 # c\n\n{THEIRS}# behind\n\n[z]\n",
    "theirs with a table": f'{THEIRS}\n[models."a.b"]\nc = {{ d = "[[hooks]]" }}\n',
    "an odd header": '[[ "hooks" ]]\nevent = "Stop"\ncommand = \'x\'\n',
    "texts that look like hooks": (
        'a = """\n[[hooks]]\nevent = "Stop" \\\n"""\nb = \'\'\'\n[[hooks]]\n\'\'\'\n'
        "c = '''it''''' # '\n\"d # [\" = [ [ '#' ], { e = ']' } ] # [\n"
    ),
    "an empty array": "hooks = [] # none\nb = 1\n[t]\n",
    "an array": 'hooks = [{ event = "Stop", command = "x, ]" }]\n',
    "an array on lines": (
        'hooks = [ # mine\n  { event = "Stop", command = "x" }, # first\n'
        '  { event = "Stop", command = "y" },\n]\n\n[t]\na = 1\n'
    ),
    "dates and numbers": "a = 1979-05-27T07:32:00Z\nb = nan\nc = 0x1F\nd = -inf\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_every_byte_comes_back(path: Path, text: str, tmp_path: Path) -> None:
    path.write_bytes(text.encode())
    theirs = hooks(path)
    change = install(TOOL, "user", tmp_path)
    assert [hook for hook in hooks(path) if not is_ours(hook)] == theirs
    assert [hook["event"] for hook in hooks(path) if is_ours(hook)] == list(change.events)
    assert hooks(path)[: len(theirs)] == theirs
    assert status(TOOL, "user", tmp_path).state == "installed"
    again = path.read_bytes()
    assert not install(TOOL, "user", tmp_path).written
    assert path.read_bytes() == again
    for line in text.strip("\r\n").splitlines():
        assert line.startswith("hooks = [") or line in path.read_bytes().decode()
    install(TOOL, "user", tmp_path, directory=tmp_path)
    assert status(TOOL, "user", tmp_path).state == "installed"
    install(TOOL, "user", tmp_path)
    assert path.read_bytes() == again
    uninstall(TOOL, "user", tmp_path)
    assert path.read_bytes() == text.encode()


def test_a_hook_has_the_keys_that_the_client_takes_and_no_other(path: Path, tmp_path: Path) -> None:
    install(TOOL, "user", tmp_path)
    for hook in hooks(path):
        assert set(hook) <= {"event", "matcher", "command", "timeout"}
        timeout = hook["timeout"]
        assert isinstance(timeout, int)
        assert 1 <= timeout <= 600


def test_a_file_that_the_client_wrote_anew_is_cleared_too(path: Path, tmp_path: Path) -> None:
    path.write_text(f"# mine\na = 1\n\n{THEIRS}")
    install(TOOL, "user", tmp_path)
    # As a client that keeps no comments writes it: the tables first, in an order of its own.
    own = ["event", "command", "timeout"]
    tables = [
        "[[hooks]]\n" + "".join(f"{key} = {hook[key]!r}\n" for key in own if key in hook)
        for hook in reversed(hooks(path))
    ]
    path.write_text("a = 1\n" + "\n".join(tables) + "\n[z]\nb = 2\n")
    assert status(TOOL, "user", tmp_path).state == "installed"
    assert not install(TOOL, "user", tmp_path).written
    install(TOOL, "user", tmp_path, directory=tmp_path)
    assert sum(map(is_ours, hooks(path))) == len(EVENTS)
    uninstall(TOOL, "user", tmp_path)
    value = tomllib.loads(path.read_text())
    assert value == {
        "a": 1, "hooks": [{"event": "Stop", "command": "notify-send done"}], "z": {"b": 2},
    }  # fmt: skip


def test_what_the_user_adds_meanwhile_stays(path: Path, tmp_path: Path) -> None:
    path.write_text("a = 1\n")
    install(TOOL, "user", tmp_path)
    text = path.read_text()
    first, rest = text.split("\n\n[[hooks]]\n", 1)
    path.write_text(
        f"{first}\nmine = 2 # why\n\n[[hooks]]\n{rest}# behind ours\n\n{THEIRS}# the end"
    )
    uninstall(TOOL, "user", tmp_path)
    assert path.read_text() == f"a = 1\nmine = 2 # why\n# behind ours\n\n{THEIRS}# the end"


def test_a_hook_of_ours_keeps_its_timeout_and_matcher(path: Path, tmp_path: Path) -> None:
    old = "[[hooks]]\nevent = 'Stop'\n  matcher = 'x' # c\ncommand = '{}' # d\ntimeout = 99\n"
    path.write_text(old.format("khive-hook --tool kimi-code || exit 1"))
    install(TOOL, "user", tmp_path)
    (hook,) = [hook for hook in hooks(path) if hook["event"] == "Stop"]
    assert (hook["matcher"], hook["timeout"]) == ("x", 99)
    assert str(hook["command"]).endswith("|| exit 0")
    assert "  matcher = 'x' # c\n" in path.read_text()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = \n", "1:5: not valid TOML"),
        ("a = 1\nb = 2 c\n", "2:7: not valid TOML"),
        ("a = [", "1:6: not valid TOML"),
        ("[hooks]\na = 1\n", '1:1: "hooks" is not an array of tables'),
        ("hooks = [1]\n", '1:1: "hooks" is not an array of tables'),
        ("a = " + "[" * 100_000 + "]" * 100_000, "1:1: nested too deep"),
        (f"a = {'1' * 10_000}\n", "1:1: not valid TOML"),
    ],
)
def test_what_is_no_settings_file_is_refused_where_it_is_wrong(
    path: Path, tmp_path: Path, text: str, where: str
) -> None:
    path.write_text(text)
    for act in (install, uninstall, status):
        with pytest.raises(InvalidSettingsError) as error:
            act(TOOL, "user", tmp_path)
        assert str(error.value).startswith(f"{path}:{where}")
        assert error.value.hint
    assert path.read_text() == text


def test_a_hook_with_a_table_below_it_is_refused_rather_than_moved(
    path: Path, tmp_path: Path
) -> None:
    ours = '[[hooks]]\nevent = "Stop"\ncommand = "khive-hook --tool kimi-code"\n'
    path.write_text(f"{THEIRS}\n{ours}\n[hooks.mine]\na = 1\n")
    before = path.read_bytes()
    with pytest.raises(InvalidSettingsError, match="is written so that it is not edited"):
        uninstall(TOOL, "user", tmp_path)
    assert path.read_bytes() == before
