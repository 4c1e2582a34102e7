"""The public names: all errors, stores and verbs among them, each documented and typed."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules, walk_packages
from typing import Any, get_type_hints

import pytest

import khive_persist
from khive_persist import errors
from khive_persist.cli.root import COMMANDS
from khive_persist.store.store import Store

STORE = "khive_persist.store."
NAMES = khive_persist.__all__
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(khive_persist, name))]
# The verbs of the command line as functions. Other commands read for a person, or run a program.
VERBS = {
    "backup": (
        "create_backup",
        "list_backups",
        "verify_backups",
        "restore_backup",
        "prune_backups",
    ),
    "export": ("export_records",),
    "import": ("import_records",),
    "prune": ("prune",),
    "purge": ("purge",),
    "query": ("query_sql",),
    "rebuild": ("rebuild",),
    "redact": ("rescan",),
    "search": ("search",),
    "sync": ("sync",),
    "verify": ("verify",),
}


def subclasses(root: type[Any]) -> Iterator[type[Any]]:
    for one in root.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_error_is_public() -> None:
    public = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.KhiveError)
    }
    assert public <= set(NAMES)
    drawn = re.findall(r"\b\w+Error\b(?= \(|  )", errors.__doc__ or "")
    assert set(drawn) | {"KhiveError"} == public


def test_every_store_is_public() -> None:
    for module in walk_packages(import_module("khive_persist.store").__path__, STORE):
        if not module.ispkg:
            import_module(module.name)
    stores = {one.__name__ for one in subclasses(Store) if one.__module__.startswith("khive_")}
    assert stores | {"Store"} <= set(NAMES)


@pytest.mark.parametrize("command", VERBS)
def test_every_verb_is_an_async_function(command: str) -> None:
    assert command in COMMANDS
    for name in VERBS[command]:
        assert inspect.iscoroutinefunction(getattr(khive_persist, name)), name


def test_no_public_name_is_hidden_by_a_module() -> None:
    """`import khive_persist.x` sets the attribute `x`."""
    assert not {module.name for module in iter_modules(khive_persist.__path__)} & set(NAMES)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name not in ("Callback", "ErrorCallback")]
)
def test_it_is_documented(name: str) -> None:
    text = inspect.getdoc(getattr(khive_persist, name)) or ""
    first = text.partition("\n")[0]
    assert re.match(r"(?!What|Whether|How|Where|Which|This )[A-Z`].*[.:]\Z", first), first


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_its_arguments_and_errors_and_is_typed(name: str) -> None:
    function = getattr(khive_persist, name)
    text = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters
    hints = get_type_hints(function)
    assert "return" in hints
    assert "Raises:" in text
    for parameter in parameters:
        assert parameter in hints
        assert re.search(rf"^    {parameter}: ", text, re.MULTILINE), parameter


def test_methods_of_stores_are_documented() -> None:
    for name in NAMES:
        one = getattr(khive_persist, name)
        if isinstance(one, type) and issubclass(one, Store):
            for method, function in inspect.getmembers(one, inspect.isfunction):
                assert method.startswith("_") or function.__doc__, f"{name}.{method}"
