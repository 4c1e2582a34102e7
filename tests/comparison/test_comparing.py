"""Groups compared by metrics: which test counts, when there is none, and what is said of it."""

import math
import time
from collections.abc import Sequence

import numpy as np
import pytest

from khive_persist.comparison.comparing import Compared, compare
from khive_persist.comparison.metric import ABSENT, NO_NUMBER, Metric, Sample
from khive_persist.comparison.sentence import sentence
from khive_persist.comparison.statistics.multiplicity import benjamini_hochberg, holm
from tests.comparison.test_statistics import PLANTS, SLEEP_1, SLEEP_2, X, Y

COST = Metric("cost", "what a session cost", "USD")
ENDED = Metric("success", "whether it ended well", "", "share")


def sample(values: Sequence[float | None]) -> Sample:
    made = Sample()
    for value in values:
        made.add(value)
    return made


def one(*groups: Sequence[float | None], metric: Metric = COST, **options: bool) -> Compared:
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
        ([X, Y, [4.0] * 9], "no group's values vary"),
    ],
)
def test_what_cannot_be_tested_says_why(groups: list[list[float | None]], said: str) -> None:
    done = one(*groups)
    assert done.p is None
    assert said in done.refusal
    assert sentence(done, 0).startswith("Nothing can be said of cost: ")


def test_values_that_are_none_are_counted_with_the_reason() -> None:
    made = sample([1.0, None, NAN, INF, 0.0, -2.5, 1e300])
    assert list(made.values) == [1.0, 0.0, -2.5]
    assert made.left_out == {ABSENT: 1, NO_NUMBER: 3}


def test_ten_thousand_groups_end_soon() -> None:
    random = np.random.default_rng(1)
    start = time.monotonic()
    done = one(*random.normal(0, 1, (10_000, 5)).tolist())
    assert time.monotonic() - start < 60
    assert done.welch_anova is not None
    assert done.pairs is None
    assert "among the 10000 groups" in sentence(done, 1) or "all 10000 groups" in sentence(done, 1)


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
