"""Text that a spreadsheet would run is harmless, and comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.transfer.formulas import neutralise, restore

DANGEROUS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\tx", "\rx", "\nx", "  =1", "\u00a0=1", "\u3000+1",
    "＝1", "＋1", "－1", "＠x", "﹦1", "\u200b=1", "\ufeff@x", "\0=1", "-1.5", "'=1", "' '=1",
]  # fmt: skip
HARMLESS = ["", "a=1", "1-1", "x", "'quoted", '{"a":1}', "#REF", "''", " x", "é", "1e-5"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_formula_is_neutralised(text: str) -> None:
    assert neutralise(text) == "'" + text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays(text: str) -> None:
    assert neutralise(text) == text


@given(st.text() | st.text(alphabet="'=+-@ \t\n\r＝a"))
def test_it_comes_back(text: str) -> None:
    assert restore(neutralise(text)) == text
    assert restore(neutralise(neutralise(text))) == neutralise(text)
