"""Every JSON column of a row goes through redaction, whatever the row is like."""

import json

from khive_persist.redaction import Redactor
from khive_persist.store.redacting import redact_row

SECRET = "ghp_" + "a1B2" * 9
REDACTOR = Redactor(b"key")


def test_a_row_without_secrets_is_the_same_object() -> None:
    row = ("id", '{"a":"b"}', '{"lion_class":"x"}', "2026-11-21 00:00:00.000000", "[0.5,1]")
    assert redact_row(REDACTOR, row) is row


def test_content_metadata_and_embedding_are_redacted_and_counted() -> None:
    json_text = json.dumps({"a": SECRET})
    _, content, metadata, _, embedding = redact_row(
        REDACTOR, ("id", json_text, json_text, "2026-11-21 00:00:00.000000", f'["{SECRET}"]')
    )
    assert SECRET not in f"{content}{metadata}{embedding}"
    assert json.loads(metadata or "")["redacted"] == {"github_token": 3}


def test_metadata_that_is_no_object_is_redacted_and_stays_what_it_is() -> None:
    row = ("id", json.dumps(SECRET), f'["{SECRET}"]', 1.5, None)
    _, content, metadata, created_at, _ = redact_row(REDACTOR, row)
    assert SECRET not in f"{content}{metadata}"
    assert isinstance(json.loads(metadata or ""), list)
    assert created_at == 1.5


def test_a_row_without_metadata_says_what_was_taken_out_of_it() -> None:
    _, _, metadata, _, _ = redact_row(REDACTOR, ("id", json.dumps(SECRET), None, None, None))
    assert json.loads(metadata or "") == {"redacted": {"github_token": 1}}
