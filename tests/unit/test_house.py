"""The floors of ARCHITECTURE.md are those that import-linter holds; SQL stands on three of them."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "khive_persist"
# What is shown to a person, to be run by `query`.
SHOWN = {"cli/commands/demo.py", "maintenance/doctor/clients.py"}
SQL = re.compile(
    r"\b(SELECT|INSERT INTO|DELETE FROM|PRAGMA|ATTACH|COMMIT|VACUUM|CASE WHEN|GROUP BY|ORDER BY"
    r"|UNION ALL|DISTINCT|LIMIT \?|json_extract\(|coalesce\(|iif\()| FROM [a-z{]| WHERE "
)


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
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and path.stem not in ("__init__", "__main__")
    }
    assert modules == set().union(*_enforced())


def test_no_sql_stands_outside_of_the_store_the_search_and_the_sessions() -> None:
    homes = PACKAGE / "store", PACKAGE / "sessions", PACKAGE / "search_index"
    found = [
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in PACKAGE.rglob("*.py")
        if not any(path.is_relative_to(home) for home in homes)
        and path.relative_to(PACKAGE).as_posix() not in SHOWN
        for text in _texts(ast.parse(path.read_text("utf-8")))
        if SQL.search(text)
    ]
    assert found == []


def _texts(tree: ast.Module) -> list[str]:
    """Return the texts of a program, without its docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]
