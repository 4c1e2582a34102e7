"""`search_fixes` and `search_file`: what mended an error, and who touched a file, when and why."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.errors import InvalidQueryError
from khive_persist.project import Project
from khive_persist.sessions.call_kind import programs_of
from khive_persist.sessions.error_text import Signature
from khive_persist.sessions.file_history import FileHistory, search_file
from khive_persist.sessions.fixes import FixResult, search_fixes
from tests.factories import event, make_project, message, plan, save_many

MISSING = """Traceback (most recent call last):
  File "/home/{user}/app/main.py", line {line}, in <module>
    import yaml
ModuleNotFoundError: No module named 'yaml'
"""


def call(
    session: str, at: float, name: str, arguments: dict[str, Any], error: str = "", **content: Any
) -> list[Any]:
    """Make the events before and after a call, which fails where there is an error."""
    payload = {"tool_input": arguments, "tool_name": name}
    use_id = f"{session}-{at}"
    fields: dict[str, Any] = {
        "tool_name": name,
        "tool_use_id": use_id,
        "payload": payload,
        "cwd": "/home/me/app",
    }
    if "command" in arguments:
        fields["command"] = arguments["command"]
    if "file_path" in arguments:
        fields["file_paths"] = [arguments["file_path"]]
    fields |= content
    end: dict[str, Any] = (
        {"success": False, "error": error} if error else {"success": True, "output": "ok"}
    )
    kind = "post_tool_use_failure" if error else "post_tool_use"
    return [
        event("pre_tool_use", session, at, **fields),
        event(kind, session, at + 0.1, **fields, **end),
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("fixes"))
    edit = {"old_string": "a = 1", "new_string": "a = 2"}
    app = str(project.root / "src/app.py")
    records = [
        plan("s1", -1, task_description="Read the settings from YAML"),
        message("s1", 0, role="user", text="Load the settings, please"),
        *call("s1", 1, "Bash", {"command": "cd /x && python -m pytest -q"},
              MISSING.format(user="ann", line=12)),
        message("s1", 1.5, text="The package is missing: I install it."),
        *call("s1", 2, "Bash", {"command": "pip install pyyaml"}),
        *call("s1", 3, "Edit", {"file_path": app, **edit}, cwd=str(project.root)),
        *call("s1", 4, "Bash", {"command": "pytest -q tests/test_main.py | tail -3"}),
        # It came back in another one, and nothing mended it there.
        *call("s2", 10, "Bash", {"command": "pytest"}, MISSING.format(user="bob", line=80)),
        *call("s2", 11, "Bash", {"command": "git status"}),
        message("s3", 19, role="user", text="Rename the module"),
        *call("s3", 20, "Bash", {"command": "git mv src/app.py src/main.py"},
              cwd=str(project.root)),
        *call("s3", 21, "Read", {"file_path": "main.py"}, cwd=str(project.root / "src")),
        *call("s3", 22, "Edit", {"file_path": "src/main.py", **edit}, cwd=str(project.root)),
        *call("s3", 23, "Edit", {"file_path": "/elsewhere/src/main.py", **edit}),
        *call("s3", 24, "Write", {"file_path": str(project.root / "b.py"), "content": "x"},
              "Error: EACCES: permission denied, open '/a/b.py'"),
    ]  # fmt: skip
    save_many(project, records)
    return project


def fixes(project: Project, error: str, limit: int = 5) -> FixResult:
    async def find() -> FixResult:
        return await search_fixes(error, limit=limit, dir=project.root)

    return anyio.run(find)


def history(project: Project, path: str, limit: int = 20) -> FileHistory:
    async def find() -> FileHistory:
        return await search_file(path, limit=limit, dir=project.root)

    return anyio.run(find)


def test_an_error_leads_to_what_mended_it_and_what_was_between(project: Project) -> None:
    result = fixes(project, MISSING.format(user="zoe", line=3))
    assert (result.matched, result.sessions, result.mended, result.shown) == (2, 2, 1, 1)
    (fix,) = result.fixes
    assert (fix.session_id, fix.likeness, fix.recurred) == ("s1", 1.0, 0)
    assert "ModuleNotFoundError: No module named 'yaml'" in fix.error
    assert fix.mended_call.startswith("Bash pytest -q tests/test_main.py")
    assert [step.kind for step in fix.steps] == ["message", "command", "edit"]
    assert "pip install pyyaml" in fix.steps[1].title
    assert "+a = 2" in fix.steps[2].lines
    assert fix.purpose == "claude_hooks"


def test_another_error_is_not_found(project: Project) -> None:
    for error in ("ModuleNotFoundError: No module named 'toml'", "KeyError: 'yaml'", "segfault"):
        assert fixes(project, error).matched == 0
    # It is there, and nothing mended it: that is told apart from an error that is not there.
    denied = fixes(project, "EACCES: permission denied, open '/other/path/c.py'")
    assert (denied.matched, denied.mended, denied.fixes) == (1, 0, [])


@pytest.mark.parametrize("error", ["", "  \n", "123 /a/b", "\x1b[31m"])
def test_a_text_without_words_is_refused(project: Project, error: str) -> None:
    with pytest.raises(InvalidQueryError, match="no error to look for"):
        fixes(project, error)


def test_what_changes_from_run_to_run_does_not_hinder() -> None:
    text = "\x1b[31merror\x1b[0m: connect ECONNREFUSED 127.0.0.1:5432 at 0x7ffe12 (build 3f9a1c2b)"
    other = "error: connect ECONNREFUSED 10.0.0.7:6000 at 0x1 (build 99aa00ff12)"
    assert Signature(text).likeness(f"first\n{other}\nlast") == 1.0
    assert Signature(text).likeness("error: connect ETIMEDOUT 127.0.0.1:5432") == 0.0


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("cd a && FOO=1 timeout 60 .venv/bin/python -m pytest -q | tail", ("pytest", "tail")),
        ("npm run build 2>&1", ("npm run build",)),
        ("git -C x commit -m 'a; b'", ("git commit",)),
        ("", ()),
    ],
)
def test_a_command_is_known_by_its_programs(command: str, programs: tuple[str, ...]) -> None:
    assert programs_of(command) == programs


def test_a_file_has_its_history_under_all_its_names(project: Project) -> None:
    found = history(project, "src/main.py")
    assert found.names == ["src/main.py", "src/app.py"]
    assert (found.matched, found.sessions, found.shown) == (4, 2, 4)
    assert [touch.change for touch in found.touches] == ["edit", "read", "command", "edit"]
    assert [touch.session_id for touch in found.touches] == ["s3", "s3", "s3", "s1"]
    assert [touch.is_latest for touch in found.touches] == [True, False, False, False]
    last, first = found.touches[0], found.touches[-1]
    assert [reason.text for reason in last.reasons] == ["Rename the module"]
    assert {reason.kind for reason in first.reasons} == {"prompt", "plan"}
    assert "+a = 2" in first.lines
    assert history(project, str(project.root / "src/main.py")).touches == found.touches
    assert history(project, "src/main.py", 1).touches == found.touches[:1]
    # Before it was renamed it had this name alone.
    assert [touch.session_id for touch in history(project, "./src/app.py").touches] == ["s3", "s1"]


def test_a_file_that_nobody_touched_has_none(project: Project, tmp_path: Path) -> None:
    for path in ("main.py", "src/main", "nothing.py", str(tmp_path / "src/main.py"), "%", "*"):
        assert history(project, path).matched == 0
    for path in ("", " ", "/", "a\0b", "x" * 5_000):
        with pytest.raises(InvalidQueryError):
            history(project, path)
