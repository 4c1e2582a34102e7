"""What is read at once, and what is remembered between."""

import json
from contextlib import closing
from pathlib import Path

from khive_persist.transcripts.batches import LINES_AT_ONCE, batches
from khive_persist.transcripts.growing_file import START, GrowingFile


def test_a_batch_remembers_what_was_known_at_its_end(tmp_path: Path) -> None:
    """Not what the reader has met since: it reads on while the batch is stored."""
    path = tmp_path / "t.jsonl"
    with path.open("w") as file:
        for number in range(3 * LINES_AT_ONCE):
            turn = {"turn_id": f"turn {number // LINES_AT_ONCE}", "model": "m", "cwd": "/x"}
            file.write(json.dumps({"type": "turn_context", "payload": turn}) + "\n")
    with closing(GrowingFile(path, START)) as file:
        read = list(batches(file, path, "codex", {}))
    assert [batch.state["turn_id"] for batch in read] == ["turn 0", "turn 1", "turn 2"]
    assert [batch.position.line for batch in read] == [LINES_AT_ONCE * n for n in (1, 2, 3)]
    assert sum(batch.bytes for batch in read) == path.stat().st_size == read[-1].position.end
