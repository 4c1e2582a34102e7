"""JSON as a column of PostgreSQL holds it."""

import json

import pytest

from khive_persist.store.postgres.documents import document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "release2024"}', '{"a": "release2024"}'),
        ('{"a": "\\"1e9999\\\\"}', '{"a": "\\"1e9999\\\\"}'),
        ('{"a": 2e2, "b": "2e2"}', '{"a": 200.0, "b": "2e2"}'),
        ('{"a": 2e0002}', '{"a": 200.0}'),
        (f'{{"a": 0.{"0" * 400}1}}', '{"a": 0.0}'),
        ('{"a": 1e9999}', json.dumps('{"a": 1e9999}')),
        ('{"a": 12345678901234567.5}', '{"a": 12345678901234568.0}'),
        ('{"a": "\\u0000 \\ud800 \\ud83e\\udd80"}', '{"a": "\\ufffd \\ufffd \\ud83e\\udd80"}'),
    ],
)
def test_what_jsonb_would_refuse_or_change_is_replaced(text: str, expected: str) -> None:
    assert document(text) == expected
