"""What Kilo 7.7.7 sent and wrote, with four copies of the plugin loaded, one of them OpenCode's."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from khive_persist.capture.client_recognition import client_of
from khive_persist.project import Project
from khive_persist.tools.kilo.hooks import TOOL
from khive_persist.transcripts.collection import collect
from tests import stored

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
PAYLOADS = [json.loads(line) for line in (HERE / "payloads.jsonl").read_text().splitlines()]


def test_each_event_came_once_and_is_kilos() -> None:
    of_first = [p for p in PAYLOADS if p["timestamp"] < PAYLOADS[0]["timestamp"] + 600_000]
    first = of_first[: max(p["sequence"] for p in PAYLOADS)]
    assert [payload["sequence"] for payload in first] == [*range(1, len(first) + 1)]
    assert {client_of("opencode", payload) for payload in PAYLOADS} == {"kilo"}


def test_its_words_are_ours() -> None:
    types = [TOOL.describe(payload)["event_type"] for payload in PAYLOADS]
    counts = Counter(types)
    assert [counts[f"{phase}_{kind}"] for phase in ("pre", "post") for kind in
            ("command", "edit", "agent_spawn", "tool_use")] == [3, 1, 1, 1, 2, 1, 1, 1]  # fmt: skip
    assert counts["permission_denied"] == counts["subagent_start"] == counts["subagent_stop"] == 1
    assert counts["prompt_submitted"] == 2
    assert types[0] == "session_start"


async def test_its_database_is_read(home: Path, project: Project) -> None:
    path = home / ".local" / "share" / "kilo" / "kilo.db"
    path.parent.mkdir(parents=True)
    sql = (HERE / "sessions.sql").read_text().replace("/home/dev/src/proj", str(project.root))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)
    result = await collect(project)
    assert not result.failed
    kept = [*stored.contents(project, "conversations.db").values()]
    tokens = sum((Counter(message.get("tokens", {})) for message in kept), Counter[str]())
    # As the model's server counted them: 9 answers.
    assert tokens["input"] + tokens["cache_read"] == 9_108
    assert (tokens["output"], tokens["reasoning"]) == (558, 63)
    assert len({message["session_id"] for message in kept}) == 1
    assert len({message["agent_id"] for message in kept if "agent_id" in message}) == 1
    assert "Initializing" not in "".join(message.get("text", "") for message in kept)
