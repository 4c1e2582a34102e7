"""The draw: as its docstring says, in the ratio of the weights, and the same for ever."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.analytics.experiments.random_assignment import draw, fraction
from khive_persist.models.assignment import assignment_id
from khive_persist.models.experiment import Variant

IDS = 10_000
# Of a chi-square with two degrees of freedom, 1 in 1,000 is larger.
BOUND = 13.82
VARIANTS: list[Variant] = [
    {"name": "control", "weight": 1},
    {"name": "new", "weight": 2},
    {"name": "newest", "weight": 0.5},
]
WEIGHTS = st.lists(st.integers(1, 2**62), min_size=2, max_size=6)


@pytest.mark.parametrize(
    ("experiment", "session", "at", "variant", "id"),
    [
        ("prompt", "s1", 0xDB6749211854F93C, "new", "e472f0f00dc8d53b307c2b5f3b6cff89"),
        ("prompt", "s2", 0x3D13E40804AD86B9, "control", "2f67cc08d11e7e20627a99fef1920e42"),
        ("prompt", "s3", 0x5FB37BE0DD465D8B, "new", "76092820b53ffee4b3460672075c84bc"),
        ("model", "s1", 0x404797E24621442A, "control", "bc6d41e33301296b03683da415ba91af"),
        ("prompt", "sé", 0xFDD406816E88BEC3, "newest", "fae4ee85f66f344dc6421dcd17e1f39f"),
    ],
)
def test_what_was_drawn_once_is_drawn_in_every_version(
    experiment: str, session: str, at: int, variant: str, id: str
) -> None:
    assert fraction(experiment, session) * 2**64 == at
    assert draw(experiment, session, VARIANTS) == variant
    assert assignment_id(experiment, session) == id


def by_hand(experiment: str, session: str, weights: list[int]) -> int:
    """By the docstring, in whole numbers alone: the project of the variant."""
    text = b"khive-persist draw" + b"\0" + experiment.encode() + b"\0" + session.encode()
    n = int(hashlib.sha256(text).hexdigest()[:16], 16)
    for project in range(len(weights)):
        if n * sum(weights) < sum(weights[: project + 1]) * 2**64:
            return project
    raise AssertionError


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), WEIGHTS)
def test_anybody_can_draw_again(session: str, weights: list[int]) -> None:
    variants: list[Variant] = [
        {"name": f"v{project}", "weight": weight} for project, weight in enumerate(weights)
    ]
    assert draw("again", session, variants) == f"v{by_hand('again', session, weights)}"


def chi_square(counts: Counter[str], variants: list[Variant]) -> float:
    every = sum(one["weight"] for one in variants)
    expected = {one["name"]: IDS * one["weight"] / every for one in variants}
    return sum((counts[name] - of) ** 2 / of for name, of in expected.items())


@pytest.mark.parametrize("form", ["s{}", "{:032x}", "2026-11-01-{}", "{:b}"])
def test_sessions_are_divided_in_the_ratio_of_the_weights(form: str) -> None:
    ids = [form.format(number) for number in range(IDS)]
    counts = Counter(draw("ratio", id, VARIANTS) for id in ids)
    assert chi_square(counts, VARIANTS) < BOUND
    # Of two experiments the one says nothing of the other.
    in_new = [id for id in ids if draw("ratio", id, VARIANTS) == "new"]
    others = Counter(draw("other", id, VARIANTS) for id in in_new)
    share = IDS / len(in_new)
    assert chi_square(Counter({k: round(n * share) for k, n in others.items()}), VARIANTS) < (
        BOUND * share
    )


def test_a_weight_that_is_very_small_or_large_is_drawn_too() -> None:
    extremes: list[Variant] = [{"name": "a", "weight": 5e-324}, {"name": "b", "weight": 1.7e308}]
    assert {draw("extremes", f"s{n}", extremes) for n in range(1_000)} == {"b"}
