"""Groups compared by metrics: which test counts, when there is none, and what is said of it."""

import math
import time
from collections.abc import Sequence

import numpy as np
import pytest

from khive_persist.analytics.compare.compare import compare
from khive_persist.analytics.compare.comparison import MetricComparison
from khive_persist.analytics.compare.metric import ABSENT, NO_NUMBER, Metric, Sample
from khive_persist.analytics.compare.statistics.multiplicity import benjamini_hochberg, holm
from khive_persist.analytics.compare.summary import _p, finding, sentence
from tests.comparison.test_statistics import PLANTS, SLEEP_1, SLEEP_2, X, Y

COST = Metric("cost", "what a session cost", "USD")
ENDED = Metric("success", "whether it ended well", "", "share")


def sample(values: Sequence[float | None]) -> Sample:
    made = Sample()
    for value in values:
        made.add(value)
    return made


def one(
    *groups: Sequence[float | None], metric: Metric = COST, **options: bool
) -> MetricComparison:
    samples = {f"group {number}": sample(values) for number, values in enumerate(groups)}
    return compare({metric: samples}, **options)[0]


def test_two_groups_have_every_figure_and_welch_counts() -> None:
    done = one(X, Y)
    assert done.welch is not None
    assert done.p == done.p_holm == done.p_bh == done.welch.p == pytest.approx(0.00775443005845)
    assert done.mann_whitney is not None
    assert done.effect is not None
    assert done.median_difference is not None
    assert done.spread is not None
    assert [group.description.n for group in done.groups] == [15, 15]
    assert all(group.normality is not None for group in done.groups)
    assert done.smallest_effect == pytest.approx(1.06, abs=0.01)
    assert done.needed == 17
    assert (done.shares, done.welch_anova, done.paired_t, done.refusal) == (None, None, None, "")


def test_shares_more_groups_and_pairs_have_tests_of_their_own() -> None:
    done = one([1.0] * 9 + [0.0], [1.0] * 3 + [0.0] * 7, metric=ENDED)
    assert done.shares is not None
    assert done.p == done.shares.p
    assert done.welch is None
    many = one(*PLANTS)
    assert many.welch_anova is not None
    assert many.p == many.welch_anova.p
    assert many.pairs is not None
    paired = one(SLEEP_1, SLEEP_2, paired=True)
    assert paired.paired_t is not None
    assert paired.p == paired.paired_t.p
    assert paired.wilcoxon is not None


def test_many_metrics_are_corrected_together() -> None:
    random = np.random.default_rng(1)
    samples = {
        Metric(f"m{number}", "a number"): {
            "a": sample(random.normal(0, 1, 20).tolist()),
            "b": sample(random.normal(number / 4, 1, 20).tolist()),
        }
        for number in range(5)
    } | {Metric("few", "a number"): {"a": sample([1.0]), "b": sample([2.0])}}
    done = compare(samples)
    p = [each.p for each in done[:5]]
    assert None not in p
    assert [each.p_holm for each in done[:5]] == holm([x for x in p if x is not None])
    assert [each.p_bh for each in done[:5]] == benjamini_hochberg([x for x in p if x is not None])
    assert (done[5].p, done[5].p_holm, done[5].p_bh) == (None, None, None)


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([X], "one group alone"),
        ([], "one group alone"),
        ([[], []], "too few sessions (group 0 0, group 1 0): each group needs 5"),
        ([X, [1.0]], "too few sessions (group 1 1)"),
        ([X, [1.0, 2.0]], "too few sessions (group 1 2)"),
        ([[3.0] * 9, [3.0] * 9], "no group's values vary"),
        ([[3.0] * 9, [4.0] * 9], "no group's values vary"),
        ([[NAN, INF, -INF, None, 1e300, 1e-300] * 9, X], "too few sessions (group 0 0)"),
        ([[3.0] * 9, [4.0] * 9, [4.0] * 9], "no group's values vary"),
        ([[0.3, 0.1 + 0.2] * 5, [0.4] * 9], "no group's values vary by more than their rounding"),
        ([X, [1e60] * 9, [2e60] * 9], "no group's values vary by more than their rounding"),
    ],
)
def test_what_cannot_be_tested_says_why(groups: list[list[float | None]], said: str) -> None:
    done = one(*groups)
    assert done.p is None
    assert said in done.refusal
    assert sentence(done, 0).startswith("Nothing can be said of cost: ")


def test_a_constant_group_among_others_is_tested_with_them() -> None:
    done = one([0.0] * 8, [1.0, 2.0, 3.0] * 3, [1.0, 2.0, 3.0] * 3)
    assert done.welch_anova is None
    assert done.brown_forsythe_anova is not None
    assert done.p == done.brown_forsythe_anova.p
    assert sentence(done, 1) == (
        "Mean cost is not the same in all 3 groups: group 1 is higher than group 0; group 2 is"
        " higher than group 0 (p less than 0.001)."
    )
    # Of two that do not vary nothing can be told; each is set against the one that does.
    pairs = one([1.0] * 9, [2.0] * 9, X).pairs
    assert pairs is not None
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2), (1, 2)]


def test_pairs_that_differ_alike_are_told_by_their_signs() -> None:
    first = [float(n) for n in range(8)]
    done = one(first, [value + 0.1 for value in first], paired=True)
    assert done.paired_t is None
    assert done.sign is not None
    assert done.p == done.sign.p == 2 / 2**8
    assert sentence(done, 1) == (
        "Cost is higher in group 1 than in group 0, by 0.1 USD in each of 8 pairs, by the sign test"
        " (p = 0.008)."
    )
    few = sentence(one(first[:5], [value - 2 for value in first[:5]], paired=True), 1)
    assert few == (
        "Cost is lower in group 1 than in group 0, by 2 USD in each of 5 pairs, which are too few"
        " to tell it from chance (p = 0.062 by the sign test)."
    )
    same = one(first, first, paired=True)
    assert (same.p, same.refusal) == (None, "the values of each pair are the same")


def test_small_groups_are_left_out_and_named_and_the_others_tested() -> None:
    done = one(PLANTS[0], [1.0, 2.0], PLANTS[1], [], PLANTS[2])
    assert done.tested == (0, 2, 4)
    alone = one(*PLANTS)
    assert done.p == alone.p
    assert done.pairs is not None
    assert [(pair.first, pair.second) for pair in done.pairs] == [(0, 2), (0, 4), (2, 4)]
    assert sentence(done, 1) == (
        "Mean cost is not the same in all 3 groups: group 4 is higher than group 2 (p = 0.017)."
        " Left out for too few sessions: group 1 2, group 3 0."
    )
    two = one([1.0], X, Y)
    assert two.welch is not None
    assert two.p == one(X, Y).p
    assert sentence(two, 1).startswith("Cost is higher in group 2 than in group 1, by 2.853 USD")
    assert sentence(two, 1).endswith("Left out for too few sessions: group 0 1.")
    shares = one([], [1.0] * 9 + [0.0], [1.0] * 3 + [0.0] * 7, metric=ENDED)
    assert shares.shares is not None


def test_values_that_are_none_are_counted_with_the_reason() -> None:
    made = sample([1.0, None, NAN, INF, 0.0, -2.5, 1e300])
    assert list(made.values) == [1.0, 0.0, -2.5]
    assert made.left_out == {ABSENT: 1, NO_NUMBER: 3}


def test_thousands_of_groups_end_soon() -> None:
    random = np.random.default_rng(1)
    start = time.monotonic()
    done = one(*random.normal(0, 1, (3_000, 5)).tolist())
    assert time.monotonic() - start < 60
    assert done.welch_anova is not None
    assert done.pairs is None
    assert "among the 3000 groups" in sentence(done, 1) or "all 3000 groups" in sentence(done, 1)


def test_sentences_claim_what_the_figures_hold() -> None:
    assert sentence(one(X, Y), 1) == (
        "Cost is higher in group 1 than in group 0, by 2.853 USD on average (95% interval of the"
        " difference 0.8161 to 4.891 USD; a large effect, g = 1.02) (p = 0.008)."
    )
    samples = {"a": sample(X), "b": sample(Y)}
    none = {"a": sample(X), "b": sample(X)}
    of_many = compare({COST: samples} | {Metric(f"m{n}", "x"): none for n in range(9)})
    assert "But 10 metrics were looked at" in sentence(of_many[0], 10)
    of_three = compare({COST: samples} | {Metric(f"m{n}", "x"): none for n in range(2)})
    assert "It stands with all 3 metrics counted (p = 0.023 by Holm)." in sentence(of_three[0], 3)
    alike = sentence(one(SLEEP_1, SLEEP_2), 1)
    assert alike == (
        "No difference in cost was found between group 0 and group 1: a difference of -0.2055"
        " to 3.365 USD fits the data. One of less than 1.32 standard deviations would have been"
        " missed more often than 1 time in 5."
    )
    many = sentence(one(*PLANTS), 1)
    assert many == (
        "Mean cost is not the same in all 3 groups: group 2 is higher than group 1 (p = 0.017)."
    )
    shares = sentence(one([1.0] * 19 + [0.0], [1.0] * 3 + [0.0] * 17, metric=ENDED), 1)
    assert shares.startswith("Success is lower in group 1 than in group 0, by 80 points on average")
    assert "(p less than 0.001)" in shares


@pytest.mark.parametrize("size", [5, 8, 13, pytest.param(30, marks=pytest.mark.long)])
def test_no_sentence_denies_its_interval(size: int) -> None:
    """Of all pairs of shares of a size: the exact test and the interval are of two methods."""
    said = {"unclear": 0, "none found": 0, "difference": 0}
    for hits in range(size + 1):
        for others in range(size + 1):
            done = one(
                [1.0] * hits + [0.0] * (size - hits),
                [1.0] * others + [0.0] * (size - others),
                metric=ENDED,
            )
            if done.p is None:
                continue
            assert done.shares is not None
            low, high, _ = done.shares.interval
            word, told = finding(done), sentence(done, 1)
            said[word] += 1
            assert ("fits the data" in told) == (word == "none found")
            assert (" is higher in " in told or " is lower in " in told) == (word == "difference")
            if word != "unclear":
                assert (low <= 0 <= high) == (done.p >= 0.05) == (word == "none found")
            else:
                assert "is unclear: p = " in told
                assert ("has 0 in it" in told) == (low <= 0 <= high)
    assert all(said.values())


@pytest.mark.parametrize("level", [0.8, 0.99])
def test_another_level_is_that_of_the_sentence_too(level: float) -> None:
    (done,) = compare({COST: {"a": sample(X), "b": sample(Y)}}, level=level)
    assert finding(done) == "difference"
    (done,) = compare({COST: {"a": sample(SLEEP_1), "b": sample(SLEEP_2)}}, level=level)
    assert finding(done) == ("difference" if level == 0.8 else "none found")


def test_p_near_the_limit_is_told_on_its_side_of_it() -> None:
    assert _p(0.0496) == "= 0.0496"
    assert _p(0.04999996) == "= 0.04999996"
    assert _p(0.0503) == "= 0.050"
    assert _p(1e-12) == "< 1e-12"
    assert _p(2e-12) == "less than 0.001"


def test_huge_numbers_are_said_with_the_digits_that_they_have() -> None:
    far = [value * 1e45 for value in Y]
    said = sentence(one([value * 1e45 for value in X], far), 1)
    assert "by 2.853e+45 USD on average (95% interval of the difference 8.161e+44 to" in said


def test_pairs_alone_are_no_finding() -> None:
    groups = [[1.0, 2.0, 3.0, 4.0, 5.0], [4.1, 5.2, 6.0, 7.3, 8.0]]
    many = one(*groups, *([[4.0, 5.0, 3.0, 6.0, 4.5]] * 8))
    word = finding(many)
    told = sentence(many, 1)
    assert (word == "none found") == told.startswith("No difference in mean cost was found")
    for pair in many.pairs or ():
        apart = not pair.interval.low <= 0 <= pair.interval.high
        names = f"group {pair.second} is {'higher' if pair.difference > 0 else 'lower'} than"
        assert not apart or names in told
