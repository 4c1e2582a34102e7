"""What Kimi Code 2.1.0 sent and wrote, with a model that answers as the prompt says.

The lines of transcripts that have the system prompt and the tools' descriptions are left out.
"""

import json
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAYLOADS = [json.loads(line) for line in (HERE / "payloads.jsonl").read_text("utf-8").splitlines()]
# A prompt with calls of each kind, a subagent and a command in the background.
WORK = "session_672ac206-7a7c-43a4-b6a6-4e3f0f0deb32"
# In the terminal: a call that is refused, one that is stopped, and a compaction.
STOPPED = "session_1d5a6e97-a6b7-446c-b887-e9fbf4d56197"
# One that was resumed, and then forked.
RESUMED = "session_b2f27761-a5e8-4655-a646-c19db9e34160"
FORK = "session_f54c8018-40f6-4722-bb82-4a6ed3b9a508"
# The tokens of each answer as the model's side noted them, by session.
MODEL_USAGE: dict[str, list[dict[str, Any]]] = json.loads((HERE / "model_usage.json").read_text())


def copy_to(home: Path) -> Path:
    """Put the sessions where Kimi Code keeps them; return its folder."""
    folder = home / ".kimi-code"
    shutil.copytree(HERE / "sessions", folder / "sessions")
    return folder


def transcripts(session: str, folder: Path = HERE) -> list[Path]:
    """The transcripts of a session, that of its own agent last, as any order is to do."""
    return sorted((folder / "sessions").glob(f"*/{session}/agents/*/wire.jsonl"))
