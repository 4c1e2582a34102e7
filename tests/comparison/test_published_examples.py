"""Each statistic against what R printed of examples that others published; none is of a formula.

The address where the output stands is beside each; of R's own data sets, the call. `is_printed`
compares the digits that R shows.
"""

from collections.abc import Sequence
from math import sqrt

import pytest

from khive_persist.analytics.compare.compare import compare
from khive_persist.analytics.compare.metric import Metric, Sample
from khive_persist.analytics.compare.statistics.assumptions import normality, spread
from khive_persist.analytics.compare.statistics.describe import boxplot, describe
from khive_persist.analytics.compare.statistics.effect import effect
from khive_persist.analytics.compare.statistics.many_samples import (
    brown_forsythe_anova,
    games_howell,
    welch_anova,
)
from khive_persist.analytics.compare.statistics.paired import paired_t, sign, wilcoxon
from khive_persist.analytics.compare.statistics.power import needed
from khive_persist.analytics.compare.statistics.proportions import Proportion, proportion_difference
from khive_persist.analytics.compare.statistics.two_samples import mann_whitney, welch

# R has `split(mtcars$mpg, mtcars$am)`
AUTOMATIC = [21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4, 14.7,
             21.5, 15.5, 15.2, 13.3, 19.2]  # fmt: skip
MANUAL = [21.0, 21.0, 22.8, 32.4, 30.4, 33.9, 27.3, 26.0, 30.4, 15.8, 19.7, 15.0, 21.4]
# R has `split(ToothGrowth$len, ToothGrowth$supp)`
ACID = [4.2, 11.5, 7.3, 5.8, 6.4, 10.0, 11.2, 11.2, 5.2, 7.0, 16.5, 16.5, 15.2, 17.3, 22.5, 17.3,
        13.6, 14.5, 18.8, 15.5, 23.6, 18.5, 33.9, 25.5, 26.4, 32.5, 26.7, 21.5, 23.3,
        29.5]  # fmt: skip
JUICE = [15.2, 21.5, 17.6, 9.7, 14.5, 10.0, 8.2, 9.4, 16.5, 9.7, 19.7, 23.3, 23.6, 26.4, 20.0,
         25.2, 25.8, 21.2, 14.5, 27.3, 25.5, 26.4, 22.4, 24.5, 24.8, 30.9, 26.4, 27.3, 29.4,
         23.0]  # fmt: skip
# R has `split(InsectSprays$count, InsectSprays$spray)`
SPRAYS: list[list[float]] = [
    [10, 7, 20, 14, 14, 12, 10, 23, 17, 20, 14, 13],
    [11, 17, 21, 11, 16, 14, 17, 17, 19, 21, 7, 13],
    [0, 1, 7, 2, 3, 1, 2, 1, 3, 0, 1, 4],
    [3, 5, 12, 6, 4, 3, 5, 5, 5, 5, 2, 4],
    [3, 5, 3, 5, 3, 6, 1, 1, 3, 2, 6, 4],
    [11, 9, 15, 22, 15, 16, 13, 10, 26, 26, 24, 13],
]
# Energy expenditure and intake, of Dalgaard 2008, Introductory Statistics with R, chapter 5:
# https://doi.org/10.1007/978-0-387-79054-1
LEAN = [7.53, 7.48, 8.08, 8.09, 10.15, 8.40, 10.88, 6.13, 7.90, 7.05, 7.48, 7.58, 8.11]
OBESE = [9.21, 11.51, 12.79, 11.85, 9.97, 8.79, 9.69, 9.68, 9.19]
BEFORE: list[float] = [5260, 5470, 5640, 6180, 6390, 6515, 6805, 7515, 7515, 8230, 8770]
AFTER: list[float] = [3910, 4220, 3885, 5160, 5645, 4680, 5265, 5975, 6790, 6900, 7335]
# R has `precip`
RAIN = [67.0, 54.7, 7.0, 48.5, 14.0, 17.2, 20.7, 13.0, 43.4, 40.2, 38.9, 54.5, 59.8, 48.3, 22.9,
        11.5, 34.4, 35.1, 38.7, 30.8, 30.6, 43.1, 56.8, 40.8, 41.8, 42.5, 31.0, 31.7, 30.2, 25.9,
        49.2, 37.0, 35.9, 15.0, 30.2, 7.2, 36.2, 45.5, 7.8, 33.4, 36.1, 40.2, 42.7, 42.5, 16.2,
        39.0, 35.0, 37.0, 31.4, 37.6, 39.9, 36.2, 42.8, 46.4, 24.7, 49.1, 46.0, 35.9, 7.8, 48.2,
        15.2, 32.5, 44.7, 42.6, 38.8, 17.4, 40.8, 29.1, 14.6, 59.2]  # fmt: skip


def is_printed(found: Sequence[float], *printed: str) -> None:
    """Whether each number, rounded as R rounded it, is what was printed."""
    for value, text in zip(found, printed, strict=True):
        digits = text.partition("e")[0].lstrip("-0.").replace(".", "")
        assert float(f"{value:.{len(digits)}g}") == float(text), (value, text)


def test_welch_of_mtcars() -> None:
    # https://rstudio-pubs-static.s3.amazonaws.com/1153739_a5fe0fd14dbd4ee1b282076152a7d495.html
    done = welch(MANUAL, AUTOMATIC)
    assert done is not None
    is_printed(
        (done.t, done.df, done.p, *done.interval[:2]),
        "-3.7671", "18.332", "0.001374", "-11.280194", "-3.209684",
    )  # fmt: skip


def test_mann_whitney_with_ties_of_mtcars() -> None:
    # https://stats.stackexchange.com/questions/290830
    done = mann_whitney(MANUAL, AUTOMATIC)
    assert done is not None
    is_printed((done.u, done.p), "42", "0.001871391")


def test_effect_of_mtcars() -> None:
    # https://easystats.github.io/effectsize/reference/cohens_d.html
    done = effect(MANUAL, AUTOMATIC)
    assert done is not None
    is_printed((done.d, *done.d_interval[:2]), "-1.48", "-2.27", "-0.67")
    is_printed((done.g, *done.g_interval[:2]), "-1.44", "-2.21", "-0.65")


def test_welch_where_the_interval_has_zero_in_it() -> None:
    # https://rstudio-pubs-static.s3.amazonaws.com/212522_51ca789c0ea74b059d696d006d88eb95.html
    done = welch(ACID, JUICE)
    assert done is not None
    is_printed(
        (done.t, done.df, done.p, *done.interval[:2]),
        "1.9153", "55.309", "0.06063", "-0.1710156", "7.5710156",
    )  # fmt: skip


def test_shapiro_of_tooth_growth() -> None:
    # R has `shapiro.test(ToothGrowth$len)`
    done = normality(ACID + JUICE)
    assert done is not None
    is_printed(done, "0.96743", "0.1091")


def test_welch_anova_of_insect_sprays() -> None:
    # https://raw.githubusercontent.com/selva86/selva86.github.io/master/Fligner-Killeen-Test-in-R.html
    done = welch_anova(SPRAYS)
    assert done is not None
    is_printed(done, "36.065", "5", "30.043", "7.999e-12")
    # R has `car::leveneTest(count ~ spray, data = InsectSprays)`
    levene = spread(SPRAYS)
    assert levene is not None
    is_printed(levene, "3.8214", "0.004223")
    # Of samples of one size F* is the F of classic analysis of variance, which R has beside it.
    by_size = brown_forsythe_anova(SPRAYS)
    assert by_size is not None
    is_printed([by_size.f], "34.702")


def test_welch_and_mann_whitney_of_energy_expenditure() -> None:
    done, ranks = welch(OBESE, LEAN), mann_whitney(OBESE, LEAN)
    assert done is not None
    assert ranks is not None
    is_printed(
        (done.t, done.df, done.p, *done.interval[:2]),
        "-3.8555", "15.919", "0.001411", "-3.459167", "-1.004081",
    )  # fmt: skip
    is_printed((ranks.u, ranks.p), "12", "0.002122")


def test_pairs_of_energy_intake() -> None:
    done, ranks = paired_t(AFTER, BEFORE), wilcoxon(AFTER, BEFORE)
    assert done is not None
    assert ranks is not None
    is_printed(
        (done.t, done.df, done.p, *done.interval[:2], done.difference),
        "11.941", "10", "3.059e-07", "1074.072", "1566.838", "1320.455",
    )  # fmt: skip
    is_printed((ranks.v, ranks.p), "66", "0.00384")


def test_a_constant_sample_makes_each_test_that_of_one_sample() -> None:
    # R has `t.test(daily.intake, mu = 7725)` and `wilcox.test(daily.intake, mu = 7725)`, there too.
    same = [7725.0] * len(BEFORE)
    for done in (welch(same, BEFORE), paired_t(same, BEFORE)):
        assert done is not None
        is_printed((done.t, done.df, done.p), "-2.8208", "10", "0.01814")
        low, high, _ = done.interval
        is_printed((7725 + low, 7725 + high), "5986.348", "7520.925")
    ranks = wilcoxon(same, BEFORE)
    assert ranks is not None
    is_printed((ranks.v, ranks.p), "8", "0.0293")
    # https://rstudio-pubs-static.s3.amazonaws.com/865056_8ab6f9ef36cf487f9bbc60c8756efa7f.html
    constant, teeth = [15.0] * 60, ACID + JUICE
    by_size = brown_forsythe_anova([constant, teeth])
    assert by_size is not None
    is_printed((sqrt(by_size.f), by_size.df_within, by_size.p), "3.8615", "59", "0.0002823")
    pairs = games_howell([constant, teeth])
    assert pairs is not None
    # The studentised range of two samples is that of t.
    is_printed((pairs[0].t, pairs[0].df, pairs[0].p), "3.8615", "59", "0.0002823")
    is_printed([15 + end for end in pairs[0].interval[:2]], "16.83731", "20.78936")
    assert welch_anova([constant, teeth]) is None


@pytest.mark.parametrize(
    ("second", "u", "p"),
    [
        ([12, 15, 5, 9, 9, 14, 56, 22, 3, 7, 32, 5], "51.5", "0.5966"),
        # No value of the first is as large as any of the second.
        ([1233, 4356, 987, 39999, 1111, 200000], "0", "0.001364"),
    ],
)
def test_mann_whitney_with_ties_and_apart(second: list[float], u: str, p: str) -> None:
    # https://endmemo.com/r/wilcoxon.php
    done = mann_whitney(second, [1, 5, 9, 24, 56, 21, 3, 7, 21, 4])
    assert done is not None
    is_printed((done.u, done.p), u, p)
    assert not done.is_exact


def test_fisher_of_lewitt_and_machin() -> None:
    # Dalgaard 2008, chapter 8; R has `fisher.test(matrix(c(9, 4, 3, 9), 2))`
    done = proportion_difference(Proportion(4, 13), Proportion(9, 12))
    assert done is not None
    is_printed([done.p], "0.04718")


def test_sign_test_of_two_drinks() -> None:
    # https://r-tutor.com/elementary-statistics/non-parametric-methods/sign-test
    done = sign([0.0] * 18, [1.0] * 5 + [-1.0] * 13)
    assert done is not None
    assert (done.higher, done.lower) == (5, 13)
    is_printed([done.p], "0.09625")


def test_power_of_an_effect_of_one() -> None:
    # R has `power.t.test(power = .90, delta = 1)`, whose n is 22.02110:
    # https://stat.ethz.ch/R-manual/R-devel/library/stats/html/power.t.test.html
    assert needed(1.0, target=0.9) == 23


def test_box_of_rain() -> None:
    # R has `boxplot.stats(precip)` and `quantile(precip)`: the hinges are no quartiles.
    box, one = boxplot(RAIN), describe(RAIN)
    is_printed(
        (box.low, box.lower_hinge, box.median, box.upper_hinge, box.high),
        "11.5", "29.1", "36.6", "42.8", "59.8",
    )  # fmt: skip
    assert list(box.outliers) == [7.0, 7.2, 7.8, 7.8, 67.0]
    assert (one.q1, one.q3, one.outliers) == (29.375, 42.775, 5)


def test_boxes_of_the_documentation() -> None:
    # https://stat.ethz.ch/R-manual/R-devel/library/grDevices/html/boxplot.stats.html
    assert list(boxplot([*range(1, 101), 1000]).outliers) == [1000]
    # "The hinges equal the quartiles for odd n": `fivenum` of 1 to n, on the same page.
    assert boxplot([1, 2, 3, 4, 5])[1:4] == (2, 3, 4)
    assert boxplot([1, 2, 3, 4])[1:4] == (1.5, 2.5, 3.5)
    assert boxplot([1, 2, 3, 4, 5, 6])[1:4] == (2, 3.5, 5)


def test_an_outlier_of_quartiles_may_be_none_of_hinges() -> None:
    # Quartiles 2.25 and 4.75 have a fence at 8.5, the hinges 2 and 5 one at 9.5.
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]
    assert list(boxplot(values).outliers) == []
    assert describe(values).outliers == 0
    assert list(boxplot([7.0]).outliers) == []


def test_what_is_constant_but_for_rounding_is_constant() -> None:
    # R stops: "data are essentially constant", as the page of t.test says of such data:
    # https://stat.ethz.ch/R-manual/R-devel/library/stats/html/t.test.html
    wavering = [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2, 0.3]
    assert len(set(wavering)) == 2
    assert welch(wavering, [0.3] * 5) is None
    assert paired_t([0.0] * 5, wavering) is None
    assert effect(wavering, [0.4] * 5) is None
    assert welch_anova([wavering, LEAN, OBESE]) is None
    # And `oneway.test` gives F = NaN where one group is constant.
    assert welch_anova([[1.0] * 5, LEAN, OBESE]) is None


@pytest.mark.parametrize("far", [50.0, 1e6])
def test_no_p_value_is_below_what_can_be_told(far: float) -> None:
    samples = {name: Sample() for name in "abc"}
    for number, sample in enumerate(samples.values()):
        for value in SPRAYS[0]:
            sample.add(value + number * far)
    (done,) = compare({Metric("cost", "a cost"): samples})
    assert done.p == done.p_holm == done.p_bh == 1e-12
    assert done.pairs is not None
    assert all(pair.p >= 1e-12 for pair in done.pairs)
