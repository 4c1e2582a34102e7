"""Links of records: each id comes back, and nothing else is a link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.errors import InvalidQueryError
from khive_persist.search_index.link import RecordLink, is_link, parse_link

IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(session_id=IDS, record_id=IDS)
def test_a_link_names_its_session_and_record(session_id: str, record_id: str) -> None:
    link = RecordLink(session_id, record_id)
    assert parse_link(str(link)) == link
    assert is_link(str(link))
    assert str(link).isascii()
    assert " " not in str(link)


@pytest.mark.parametrize(
    "text",
    [
        "", "session", "khive-persist:", "khive-persist://session", "khive-persist://session/",
        "khive-persist://session/?record=x", "khive-persist://plan/x", "http://session/x",
        "khive-persist://session/a/b", "khive-persist://session/%ff", "khive-persist://[/x",
        "khive-persist://session/x%00", "khive-persist://session/x?record=a&record=b",
        "khive-persist://session/x?" + "a=b&" * 100,
    ],
)  # fmt: skip
def test_what_is_no_link_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidQueryError) as refused:
        parse_link(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
