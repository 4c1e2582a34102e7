"""`import khive_persist`: every name is there, and nothing is brought in before it is asked for."""

import subprocess
import sys

import pytest

import khive_persist


def test_the_public_names_are_sorted_and_each_is_there() -> None:
    assert khive_persist.__all__ == sorted(set(khive_persist.__all__))
    for name in khive_persist.__all__:
        found = getattr(khive_persist, name)
        # A callable's type has another name.
        assert found.__name__ == name or name in ("Callback", "ErrorCallback")
    assert dir(khive_persist) == khive_persist.__all__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        khive_persist.nonsense  # noqa: B018 - asking is what is tried


def imported_by(statements: str) -> set[str]:
    """The modules of ours and of others that are there after these statements."""
    script = f"{statements}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=30
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else() -> None:
    added = imported_by("import khive_persist") - imported_by("")
    assert {name for name in added if name.startswith("khive_persist")} == {"khive_persist"}
    assert not added & {"pydantic", "aiosqlite", "anyio", "orjson", "sqlite3", "asyncio", "json"}


def test_a_query_and_an_error_need_no_store() -> None:
    added = imported_by("from khive_persist import KhiveError, column, field, purpose")
    assert not added & {"pydantic", "aiosqlite", "anyio", "orjson", "sqlite3"}


def test_a_record_knows_no_driver() -> None:
    added = imported_by("import khive_persist.models.planner_session")
    assert not added & {"aiosqlite", "orjson", "sqlite3"}
