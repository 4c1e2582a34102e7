"""A message's line of the mirror, row without reading its JSON, is as one that is row with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from khive_persist.mirror.document import to_line
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.redaction import Redactor
from khive_persist.tools.message_part import MessagePart, row_id
from khive_persist.transcripts.batches import Batch
from khive_persist.transcripts.message_rows import MessageRow, RowBuilder
from tests.transcripts.test_counts import SAMPLES

KEY = Redactor(b"key")


def message_row(redactor: Redactor | None = KEY, **fields: Any) -> MessageRow:
    batch = Batch()
    batch.parts = [MessagePart("key", "part", fields, "2026-11-21T01:11:52.076Z", is_whole=True)]
    batch.ids = [row_id("claude-code", "key")]
    (row,) = RowBuilder("claude-code", redactor).new(batch).values()
    return row


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "x"


ODD: list[Any] = [
    *("plain", "\u2028é日", "\ud800", "\0", "password: hunter2hunter2", "[REDACTED:token:12ab]"),
    *(None, True, -0.0, 1e308, float("inf"), 2**63, 2**64, 10**30),
    *({"": [{}, []]}, {"api_key": "hunter2hunter2"}),
]


@pytest.mark.parametrize("payload", ODD, ids=repr)
@pytest.mark.parametrize("redactor", [KEY, None], ids=["redacted", "raw"])
def test_of_whatever_a_message_holds(payload: Any, redactor: Redactor | None) -> None:
    row = message_row(redactor, session_id="s", payload=payload)
    assert row.line() == to_line(CONVERSATIONS, row.row)


@pytest.mark.parametrize("levels", [*range(245, 260), 400])
def test_of_any_depth(levels: int) -> None:
    row = message_row(session_id="s", payload=nested(levels))
    assert row.line() == to_line(CONVERSATIONS, row.row)


@pytest.mark.parametrize("session", ["s", "", None, 7, "\ud800", "password: hunter2hunter2"])
def test_of_whatever_session(session: Any) -> None:
    row = message_row(session_id=session, text="x")
    assert row.line() == to_line(CONVERSATIONS, row.row)


def test_of_every_line_of_the_samples() -> None:
    for path in sorted(Path(SAMPLES).rglob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            row = message_row(payload=json.loads(line))
            assert row.is_exact
            assert row.line() == to_line(CONVERSATIONS, row.row)
