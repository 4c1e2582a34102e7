"""Reliability, the Brier score and cost errors: each figure by hand, and by a few other lines."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_persist.analytics.calibration import (
    DEFAULT_BINS,
    CostErrors,
    Number,
    Reliability,
    wilson,
)

# Confidence 0.2 twice, 0.8 twice and 0.9 once; in halves, the means are 0.2 and 5/6.
PLANS = [(0.2, 0.0), (0.2, 1.0), (0.8, 1.0), (0.8, 1.0), (0.9, 0.5)]


def exact(forecasts: list[tuple[float, float]]) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(str(f)), Fraction(str(o))) for f, o in forecasts]


def reliability(
    forecasts: Iterable[tuple[Number, Number]], bins: int = DEFAULT_BINS
) -> Reliability:
    table = Reliability(bins)
    for confidence, outcome in forecasts:
        table.add(confidence, outcome)
    return table


def test_the_brier_score_and_its_parts_by_hand() -> None:
    found = reliability(exact(PLANS), bins=2).brier()
    assert found is not None
    # 0.92 / 5: squares of 0.2, 0.8, 0.2, 0.2 and 0.4.
    assert found.score == Fraction("0.184")
    # Bin 1: n 2, f 0.2, o 0.5. Bin 2: n 3, f 2.5/3, o 2.5/3. All: o 0.7.
    assert found.reliability == Fraction("0.036")  # two times 0.3² of five
    assert found.resolution == Fraction(2, 75)  # two times 0.2², three times (2/15)²
    assert found.uncertainty == Fraction("0.16")  # 3.25 / 5 less 0.49
    # Only bin 2 varies: f by -1/30 -1/30 2/30, o by 1/6 1/6 -1/3.
    assert found.within_variance == Fraction(1, 750)  # 6 / 900 of five
    assert found.within_covariance == Fraction(-1, 75)  # two times -6 / 180 of five
    assert found.skill == 1 - Fraction("0.184") / Fraction("0.16")


chances = st.fractions(0, 1, max_denominator=50)
results = st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1)]) | chances


@given(st.lists(st.tuples(chances, results), min_size=1, max_size=40), st.integers(1, 25))
def test_the_parts_make_up_the_score_exactly(
    forecasts: list[tuple[Fraction, Fraction]], bins: int
) -> None:
    found = reliability(forecasts, bins).brier()
    assert found is not None
    assert found.score == sum((f - o) ** 2 for f, o in forecasts) / len(forecasts)
    assert found.score == (
        found.reliability
        - found.resolution
        + found.uncertainty
        + found.within_variance
        - found.within_covariance
    )


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), min_size=1, max_size=40))
def test_of_equal_forecasts_a_bin_the_parts_are_murphys(given: list[tuple[int, int]]) -> None:
    """His three terms, as his paper has them: over groups of one forecast each."""
    forecasts = [(Fraction(f, 10), Fraction(o)) for f, o in sorted(given)]
    n = len(forecasts)
    mean = sum((o for _, o in forecasts), Fraction(0)) / n
    murphy = [Fraction(0), Fraction(0), mean * (1 - mean)]
    for f, group in groupby(forecasts, key=lambda pair: pair[0]):
        came = [o for _, o in group]
        rate = sum(came, Fraction(0)) / len(came)
        murphy[0] += len(came) * (f - rate) ** 2 / n
        murphy[1] += len(came) * (rate - mean) ** 2 / n
    found = reliability(forecasts, bins=11).brier()
    assert found is not None
    assert [found.reliability, found.resolution, found.uncertainty] == murphy
    assert (found.within_variance, found.within_covariance) == (0, 0)
    assert found.score == murphy[0] - murphy[1] + murphy[2]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=200))
def test_in_floats_only_rounding_is_lost(forecasts: list[tuple[float, float]]) -> None:
    found = reliability(forecasts).brier()
    assert found is not None
    parts = found.reliability - found.resolution + found.uncertainty
    parts += found.within_variance - found.within_covariance
    assert parts == pytest.approx(found.score, abs=1e-12)


def test_the_table_has_every_bin_with_its_means() -> None:
    bins = reliability(PLANS, bins=5).bins()
    assert [(one.low, one.high, one.plans) for one in bins] == [
        (0.0, 0.2, 0), (0.2, 0.4, 2), (0.4, 0.6, 0), (0.6, 0.8, 0), (0.8, 1.0, 3),
    ]  # fmt: skip
    assert bins[0][3:] == (None, None, None, None)
    assert (bins[1].confidence, bins[1].success) == (0.2, 0.5)
    assert bins[4].confidence == pytest.approx(2.5 / 3)
    assert bins[4].success == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("bins", [1, 2, 7, 10, 100, 1000])
def test_each_confidence_is_in_the_bin_whose_bounds_hold_it(bins: int) -> None:
    for number in range(1001):
        sure = number / 1000
        (filled,) = [one for one in reliability([(sure, 1)], bins).bins() if one.plans]
        assert filled.low <= sure < filled.high or sure == filled.high == 1


def test_wilsons_interval_is_that_of_the_tables() -> None:
    # Newcombe 1998 ("Two-sided confidence intervals for the single proportion"), table I, method 3.
    for successes, count, low, high in [
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:  # fmt: skip
        assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)
    assert wilson(20, 20) == pytest.approx((1 - 0.1611, 1.0), abs=5e-5)


def test_a_bin_has_the_interval_of_its_outcomes() -> None:
    (one,) = reliability([(0.5, 0)] * 20, bins=1).bins()
    assert (one.success_low, one.success_high) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_nothing_has_no_score_and_equal_outcomes_have_no_skill() -> None:
    assert Reliability().brier() is None
    found = reliability([(0.9, 1), (0.7, 1)]).brier()
    assert found is not None
    assert found.score == pytest.approx(0.05)
    assert found.skill is None


@pytest.mark.parametrize(
    "pair", [(-0.1, 0), (1.1, 0), (float("nan"), 0), (0.5, 2), (0.5, float("nan"))]
)
def test_what_is_no_probability_is_refused(pair: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="0 to 1"):
        Reliability().add(*pair)
    with pytest.raises(ValueError, match="bins"):
        Reliability(0)


def test_cost_errors_by_hand() -> None:
    errors = CostErrors()
    errors.add("simple", 1.0, 3.0)
    errors.add("simple", 2.0, 1.0)
    errors.add(None, 0.0, 0.5)
    errors.add("complex", 4.0, 4.0)
    assert [tuple(one) for one in errors.groups()] == [
        ("complex", 1, 4.0, 4.0, 0.0, 0.0, 1.0),
        # 1.5 said, 2 spent: 0.5 more; by 2 and 1 wrong, 1.5 in the mean; 4 spent of 3 said.
        ("simple", 2, 1.5, 2.0, 0.5, 1.5, pytest.approx(4 / 3)),
        (None, 1, 0.0, 0.5, 0.5, 0.5, None),
    ]
