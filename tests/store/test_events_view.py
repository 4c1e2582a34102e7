"""The view of events: their paths and marks as JSON text."""

import json
import sqlite3
from contextlib import closing

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project


def test_paths_and_marks_are_columns_of_the_view(project: Project) -> None:
    payload = {
        "hook_event_name": "PreToolUse", "session_id": "s", "tool_name": "mcp__a__b", "cwd": "/p",
        "tool_input": {"path": "x.py"},
    }  # fmt: skip
    Spool(project).accept("claude-code", json.dumps(payload).encode())
    drain(project)
    with closing(sqlite3.connect(project.database("claude_hooks.db"))) as connection:
        ((paths, metadata),) = connection.execute("SELECT file_paths, metadata FROM events")
    assert json.loads(paths) == ["/p/x.py"]
    assert json.loads(metadata) == {"mcp_server": "a"}
