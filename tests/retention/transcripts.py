"""Transcripts of Claude Code as small files, where the tool keeps them for a project."""

import json
from pathlib import Path
from typing import Any

import anyio

from khive_persist.project import Project
from khive_persist.transcripts.collection import Collected, collect
from tests.retention.events import contents

SESSION = "0d3f8a11-1111-4111-8111-000000000001"


def folder(project: Project) -> Path:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in str(project.root))
    path = Path.home() / ".claude" / "projects" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def line(project: Project, session_id: str, number: int, text: str, at: str) -> bytes:
    document: dict[str, Any] = {
        "type": "user",
        "message": {"role": "user", "content": text},
        "uuid": f"{session_id}-u{number}",
        "parentUuid": f"{session_id}-u{number - 1}" if number else None,
        "timestamp": at,
        "sessionId": session_id,
        "cwd": str(project.root),
    }
    return json.dumps(document).encode() + b"\n"


def write(
    project: Project, session_id: str, *texts: str, at: str = "2026-11-20T10:00:0{}.000Z"
) -> Path:
    """A transcript of so many prompts, a second apart."""
    path = folder(project) / f"{session_id}.jsonl"
    lines = [line(project, session_id, n, text, at.format(n)) for n, text in enumerate(texts)]
    path.write_bytes(b"".join(lines))
    return path


def sync(project: Project, *paths: Path) -> Collected:
    async def run() -> Collected:
        return await collect(project, list(paths))

    return anyio.run(run)


def texts(project: Project) -> list[str]:
    """What the messages say that are stored."""
    return [content["text"] for content in contents(project, "conversations.db").values()]
