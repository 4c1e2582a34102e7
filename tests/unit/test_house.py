"""The floors of ARCHITECTURE.md are those that import-linter holds, and every module is on one."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "khive_persist"


def _documented() -> list[set[str]]:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = text.split("| floor | what |\n|---|---|\n")[1].split("\n\n")[0]
    return [
        {
            name.removesuffix(".py").rstrip("/")
            for name in re.findall(r"`([^`]+)`", row.split("|")[1])
        }
        for row in table.splitlines()
    ]


def _enforced() -> list[set[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return [
        {module.strip().removeprefix("khive_persist.") for module in layer.split("|")}
        for layer in contract["layers"]
    ]


def test_the_floors_are_those_that_are_held() -> None:
    assert _documented() == _enforced()


def test_every_module_stands_on_a_floor() -> None:
    modules = {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    }
    assert modules == set().union(*_enforced())
