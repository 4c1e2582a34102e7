"""Whatever a TOML file looks like: our hooks come and go, and all else is untouched."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_persist.capture.hook_config import install, settings_path, status, uninstall
from khive_persist.capture.hook_config.command import is_ours

TOOL = "kimi-code"
SPACES = st.sampled_from(["", " ", "\t", "  "])
TRAILING = st.sampled_from(["", " # it's [[hooks]]", '#"""', "\t# }]", " # é日本"])
STRINGS = st.sampled_from(
    ['"a # \\" ["', "'[[hooks]]'", '"""\n[[hooks]]\n"""', "'''a\n# ''''", '"\\u00e9 = {"', '""']
)
SCALARS = STRINGS | st.sampled_from(["1", "-0.5e3", "true", "nan", "1979-05-27", "07:32:00"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n  " + ", # c ]\n  ".join(items) + " ]")
        | st.lists(inner.filter(lambda value: "\n" not in value), max_size=2).map(
            lambda items: "{ " + ", ".join(f"k{i} = {v}" for i, v in enumerate(items)) + " }"
        )
    ),
    max_leaves=4,
)
COMMAND = st.sampled_from(['"notify-send done"', "'x ] , }'", '"echo khive-hook --tool kimi-code"'])
HEADERS = st.sampled_from(["[[hooks]]", "[[ hooks ]]", '[["hooks"]]', "  [[hooks]]", "[['hooks']]"])
any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def files(draw: st.DrawFn) -> str:
    """A settings file with tables of others, and hooks of others among them."""
    blocks = []
    names = iter(range(100))

    def members(count: int) -> list[str]:
        return [
            f"{draw(SPACES)}k{next(names)}{draw(SPACES)}={draw(SPACES)}{draw(VALUES)}{draw(TRAILING)}"
            for _ in range(count)
        ]

    blocks.append("\n".join(members(draw(st.integers(0, 2)))))
    is_inline = draw(st.booleans()) and draw(st.booleans())
    if is_inline:
        items = [
            f'{{ event = "Stop", command = {draw(COMMAND)} }}'
            for _ in range(draw(st.integers(0, 2)))
        ]
        between = draw(st.sampled_from([", ", ",\n  ", " ,# ]\n"]))
        blocks.append(f"hooks = [{draw(SPACES)}{between.join(items)}{draw(SPACES)}]")
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()) and not is_inline:
            blocks.append(
                f"{draw(HEADERS)}{draw(TRAILING)}\nevent = 'Stop'{draw(TRAILING)}\n"
                f"command = {draw(COMMAND)}"
            )
        else:
            blocks.append("\n".join([f"[t{next(names)}]{draw(TRAILING)}", *members(1)]))
    lines = draw(st.sampled_from(["\n", "\n\n", "\n# mine\n", "\n \n"]))
    text = lines.join(blocks) + draw(st.sampled_from(["", "\n", "\n\n", "\n# end", " \t\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kimi") / "config.toml"


@any_time
@given(text=files(), twice=st.booleans())
def test_an_uninstall_gives_every_byte_back(path: Path, text: str, twice: bool) -> None:
    before = tomllib.loads(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIMI_CODE_HOME", str(path.parent))
        patch.setenv("HOME", str(path.parent))
        patch.setenv("PATH", str(path.parent))
        file = settings_path(TOOL, "user", path)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())
        install(TOOL, "user", path)
        once = file.read_bytes()
        after = tomllib.loads(once.decode())
        theirs = before.get("hooks", [])
        assert after["hooks"][: len(theirs)] == theirs
        assert all(is_ours(hook["command"], TOOL) for hook in after["hooks"][len(theirs) :])
        assert repr({k: v for k, v in after.items() if k != "hooks"}) == repr(
            {k: v for k, v in before.items() if k != "hooks"}
        )
        assert status(TOOL, "user", path).state == "installed"
        assert not install(TOOL, "user", path).written
        if twice:
            install(TOOL, "user", path, directory=path)
            install(TOOL, "user", path)
        assert file.read_bytes() == once
        uninstall(TOOL, "user", path)
        assert file.read_bytes() == text.encode()
