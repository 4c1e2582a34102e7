"""Each statistic against R 4.2.2, or against the paper that it is from.

The R lines that gave the figures stand beside them. `x` and `y` are the samples below; the others
are data sets that come with R.
"""

import math
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from khive_persist.analytics.compare.statistics import medians
from khive_persist.analytics.compare.statistics.assumptions import normality, spread
from khive_persist.analytics.compare.statistics.describe import describe
from khive_persist.analytics.compare.statistics.effect import correction, effect, noncentrality
from khive_persist.analytics.compare.statistics.many_samples import games_howell, welch_anova
from khive_persist.analytics.compare.statistics.medians import median_difference
from khive_persist.analytics.compare.statistics.multiplicity import benjamini_hochberg, holm
from khive_persist.analytics.compare.statistics.paired import paired_t, wilcoxon
from khive_persist.analytics.compare.statistics.power import needed, power, smallest_effect
from khive_persist.analytics.compare.statistics.proportions import (
    Proportion,
    proportion_difference,
    wilson,
)
from khive_persist.analytics.compare.statistics.two_samples import mann_whitney, welch

X = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
Y = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 24.7]
# R has `sleep$extra by sleep$group (Student 1908)`
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
# R has `na.omit(airquality$Ozone[airquality$Month == 5]), and 8`
MAY = [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45,
       115, 37]  # fmt: skip
AUGUST = [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73,
          76, 118, 84, 85]  # fmt: skip
# R has `split(PlantGrowth$weight, PlantGrowth$group)`
PLANTS = [
    [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
]


def equal(*expected: float) -> object:
    """Equal to six digits at least."""
    return pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_describe() -> None:
    # R has `quantile(x); mean(x); sd(x)`
    one = describe(X)
    found = (one.minimum, one.q1, one.median, one.q3, one.maximum, one.mean)
    assert found == equal(16.9, 19.0, 21.0, 22.25, 27.5, 20.82)
    assert one.sd == pytest.approx(2.80489368273)
    # R has `boxplot.stats(x)$out is 27.5`
    assert (one.n, one.outliers) == (15, 1)
    assert describe([7.0]).sd is None
    assert describe([])[:2] == (0, None)


def test_welch() -> None:
    # R has `t.test(y, x)`
    done = welch(X, Y)
    assert done is not None
    assert (done.t, done.df, done.p, *done.interval[:2], done.difference) == equal(
        2.86941063648900, 27.89672315649009, 0.00775443005845, 0.81606362748285, 4.89060303918381,
        2.85333333333333,
    )  # fmt: skip
    # R has `t.test(sleep 2, sleep 1)`
    done = welch(SLEEP_1, SLEEP_2)
    assert done is not None
    assert (done.t, done.df, done.p, *done.interval[:2]) == equal(
        1.8608134674869, 17.7764735161785, 0.0793941401874, -0.2054832307117, 3.3654832307117
    )


def test_mann_whitney() -> None:
    # R has `wilcox.test(b, a), data of its example (Hollander and Wolfe 1973, p. 69)`
    a = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    b = [1.15, 0.88, 0.90, 0.74, 1.21]
    done = mann_whitney(a, b)
    assert done is not None
    assert (done.u, done.p, done.superiority) == equal(15, 0.254412254412, 0.3)
    assert done.is_exact
    # R has `wilcox.test(august, may), which has ties`
    done = mann_whitney(MAY, AUGUST)
    assert done is not None
    assert (done.u, done.p) == equal(548.5, 1.20807830769e-04)
    assert not done.is_exact


def test_effect() -> None:
    # R has `effectsize::cohens_d(y, x), effectsize::hedges_g(y, x)`
    done = effect(X, Y)
    assert done is not None
    assert (done.d, done.g) == equal(1.04776062157, 1.01939995761)
    assert done.d_interval[:2] == pytest.approx((0.273558787864, 1.80563465726), abs=1e-6)
    assert done.g_interval[:2] == pytest.approx((0.266154130069, 1.7567599461), abs=1e-6)
    # R has `uniroot over pt(2.5, 18, ncp) - 0.975 and - 0.025`
    assert noncentrality(2.5, 18) == pytest.approx((0.349434646422, 4.591520431502), abs=1e-9)
    # R has `exp(lgamma(k/2) - lgamma((k-1)/2)) / sqrt(k/2)`
    for df, expected in ((2, 0.564189583548), (28, 0.972932115056), (150, 0.994990257002)):
        assert correction(df) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("d", [0.0, 0.01, 3.0, -8.0])
@pytest.mark.parametrize("size", [2, 10, 10_000])
def test_the_interval_of_an_effect_is_found_wherever_it_lies(d: float, size: int) -> None:
    a = np.array([-1.0, 1.0] * size)
    done = effect(list(a), list(a + d))
    assert done is not None
    assert done.d_interval.low < done.d < done.d_interval.high
    assert done.d == pytest.approx(d / a.std(ddof=1))


@pytest.mark.parametrize("far", [1e3, 1e5, 1e6, 1e9, 1e13, -1e6])
def test_the_interval_of_a_huge_effect_is_as_wide_as_its_spread_is_unknown(far: float) -> None:
    # Far out an effect is uncertain as the standard deviation is, by the chi-square distribution.
    done = effect(X, [value + far for value in X])
    assert done is not None
    ends = np.array(done.d_interval[:2]) / done.d
    expected = np.sqrt(stats.chi2.ppf([0.025, 0.975], 28) / 28)
    assert sorted(ends) == pytest.approx(expected, rel=1e-4)


def test_median_difference() -> None:
    done = median_difference(X, Y)
    assert done is not None
    assert done.difference == pytest.approx(2.4)
    a, b = np.sort(np.array(X)), np.sort(np.array(Y))
    # scipy's bootstrap draws whole resamples; both have the noise of 9,999 draws.
    other = stats.bootstrap(
        (b, a), lambda s, t, axis: np.median(s, axis) - np.median(t, axis),
        n_resamples=20_000, method="BCa", random_state=np.random.default_rng(1),
    )  # fmt: skip
    low, high = other.confidence_interval
    assert done.interval is not None
    assert done.interval[:2] == pytest.approx((low, high), abs=0.35)
    again = median_difference(X, Y)
    assert again == done


def test_the_ends_of_bca_are_those_of_its_formula() -> None:
    # R has, on the same resamples, `quantile(t, pnorm(z + w / (1 - acc * w)))` of
    # `z = qnorm(mean(t < t0) + mean(t == t0) / 2); w = z + qnorm(c(.025, .975))`, and of the
    # jackknife l of each sample, about its mean and through its size,
    # `acc = sum(l^3) / (6 * sum(l^2)^1.5)`
    for first, second, acceleration, low, high in (
        (X, Y, 0.002313910441665, 0.4, 5.1), (MAY, AUGUST, 0.0, 14.0, 59.5),
    ):  # fmt: skip
        done = median_difference(first, second)
        assert done is not None
        assert done.interval is not None
        assert done.interval[:2] == equal(low, high)
        ordered = (np.sort(np.array(one, dtype=float)) for one in (first, second))
        assert medians._acceleration(*ordered) == pytest.approx(acceleration, rel=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_leave_one_out_medians_are_those_of_the_jackknife(values: list[float]) -> None:
    ordered = np.sort(np.array(values))
    plain = sorted(float(np.median(np.delete(ordered, i))) for i in range(len(ordered)))
    found, counts = medians._left_out(ordered)
    assert sorted(np.repeat(found, counts.astype(int))) == plain


@pytest.mark.parametrize("size", [2, 3, 10, 31])
def test_resampled_medians_have_the_distribution_of_whole_resamples(size: int) -> None:
    ordered = np.sort(np.random.default_rng(size).normal(size=size))
    quick = medians._resampled(ordered, np.random.default_rng(1))
    slow = np.median(np.random.default_rng(2).choice(ordered, (medians.RESAMPLES, size)), axis=1)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    for share in shares:
        at = float(np.quantile(slow, share))
        assert np.mean(quick <= at) == pytest.approx(np.mean(slow <= at), abs=0.025)


def test_proportions() -> None:
    # R has `prop.test(56, 70, correct = FALSE)$conf.int`
    assert wilson(Proportion(56, 70))[:2] == equal(0.691833555037, 0.876952607516)
    # Newcombe 1998, Stat. Med. 17, table II, method 10: 56/70 and 48/80, 9/10 and 3/10,
    # 10/10 and 0/20, 10/10 and 0/10
    for first, second, low, high in (
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((0, 20), (10, 10), 0.6791, 1.0),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ):
        done = proportion_difference(Proportion(*first), Proportion(*second))
        assert done is not None
        assert done.interval[:2] == pytest.approx((low, high), abs=5e-5)
    # The same by its formula from R's intervals: prop.test(48, 80) gives 0.4905192, 0.7001881
    done = proportion_difference(Proportion(48, 80), Proportion(56, 70))
    low, high = wilson(Proportion(48, 80))[:2]
    assert done is not None
    assert done.interval.low == pytest.approx(
        0.2 - sqrt((0.8 - 0.691833555037) ** 2 + (high - 0.6) ** 2)
    )
    assert done.odds_ratio == pytest.approx(56 * 32 / (14 * 48))
    # R has `fisher.test(matrix(c(3, 1, 1, 3), 2)), c(48, 8, 34, 22), c(10, 2, 3, 15)`
    for table, p in (
        ((3, 1, 1, 3), 0.485714285714),
        ((48, 8, 34, 22), 0.00503653737659),
        ((10, 2, 3, 15), 0.000536724119143),
    ):
        a, b, c, d = table
        fisher = proportion_difference(Proportion(a, a + b), Proportion(c, c + d))
        assert fisher is not None
        assert fisher.p == pytest.approx(p, rel=1e-9)


def test_welch_anova_and_games_howell() -> None:
    # R has `oneway.test(weight ~ group, PlantGrowth)`
    done = welch_anova(PLANTS)
    assert done is not None
    assert tuple(done) == equal(5.1809724081132, 2, 17.1284186166441, 0.0173928214902)
    # R has `rstatix::games_howell_test; with all digits, ptukey and qtukey on its formulas`
    pairs = games_howell(PLANTS)
    assert pairs is not None
    expected = [
        (-0.371, -1.172087501502, 0.430087501502, -1.191260381849, 16.523585056859,
         0.474554922194),
        (0.494, -0.100554433333, 1.088554433333, 2.134020453124, 16.785764482606, 0.112889176854),
        (0.865, 0.1135129933172, 1.6164870066828, 3.0100985421244, 14.1035691227603,
         0.0237034547392),
    ]  # fmt: skip
    for pair, values in zip(pairs, expected, strict=True):
        found = (pair.difference, *pair.interval[:2], pair.t, pair.df, pair.p)
        assert found == pytest.approx(values, rel=1e-6)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(("sizes", "level"), [((2, 2, 2), 0.95), ((2, 3, 40, 5), 0.999)])
def test_games_howell_has_the_studentized_range_of_scipy(
    sizes: tuple[int, ...], level: float
) -> None:
    random = np.random.default_rng(7)
    samples = [random.normal(n, 1 + n % 7, n).tolist() for n in sizes]
    for pair in games_howell(samples, level) or ():
        quantile = float(stats.studentized_range.ppf(level, len(sizes), pair.df))
        half = quantile / sqrt(2) * abs(pair.difference / pair.t)
        assert pair.interval.high - pair.difference == pytest.approx(half, rel=1e-9)


def test_paired() -> None:
    # R has `t.test(sleep 2, sleep 1, paired = TRUE); mean and sd of the differences`
    done = paired_t(SLEEP_1, SLEEP_2)
    assert done is not None
    assert (done.t, done.df, done.p, *done.interval[:2], done.d) == equal(
        4.06212768338204, 9, 0.00283289019738, 0.70011423672302, 2.45988576327698,
        1.28455756259105,
    )  # fmt: skip
    # R has `wilcox.test(after, before, paired = TRUE), data of its example`
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    ranks = wilcoxon(before, after)
    assert ranks is not None
    assert (ranks.v, ranks.p, ranks.pairs) == equal(5, 0.0390625, 9)
    assert ranks.is_exact
    # R has `wilcox.test(sleep 2, sleep 1, paired = TRUE), which has ties and a zero`
    ranks = wilcoxon(SLEEP_1, SLEEP_2)
    assert ranks is not None
    assert (ranks.v, ranks.p, ranks.pairs) == equal(45, 0.00909069801593, 9)
    assert not ranks.is_exact


def test_assumptions() -> None:
    # R has `shapiro.test(x); shapiro.test(may)`
    for sample, w, p in (
        (X, 0.953543003043, 0.581872400545),
        (MAY, 0.714008399812, 8.29383210409e-06),
    ):
        done = normality(sample)
        assert done is not None
        assert done == pytest.approx((w, p), rel=1e-6)
    # R has `car::leveneTest(weight ~ group, PlantGrowth, center = median)`
    levene = spread(PLANTS)
    assert levene is not None
    assert tuple(levene) == equal(1.11918569487, 0.341226624125)


def test_multiplicity() -> None:
    # R has `p.adjust(p, "holm"); p.adjust(p, "BH")`
    p = [0.01, 0.02, 0.03, 0.04, 0.05, 0.005, 0.5]
    assert holm(p) == pytest.approx([0.06, 0.1, 0.12, 0.12, 0.12, 0.035, 0.5])
    assert benjamini_hochberg(p) == pytest.approx(
        [0.035, 0.0466666666667, 0.0525, 0.056, 0.0583333333333, 0.035, 0.5]
    )
    assert holm([]) == benjamini_hochberg([]) == []


def test_power() -> None:
    # R: power.t.test(n = 20, delta = 1, strict = TRUE)$power; pwr::pwr.t2n.test(28, 35, d = 0.5)
    assert power(1, 20, 20) == pytest.approx(0.868953027725, rel=1e-9)
    assert power(0.5, 28, 35) == pytest.approx(0.492458788319, rel=1e-6)
    # R: power.t.test(n = 20, power = 0.8, tol = 1e-12)$delta; uniroot over pwr.t2n.test(28, 35)
    assert smallest_effect(20, 20) == pytest.approx(0.909129032685, rel=1e-6)
    assert smallest_effect(28, 35) == pytest.approx(0.721760688141, rel=1e-6)
    # R: power.t.test(power = 0.8, delta = 0.5)$n is 63.77; power = 0.9, delta = 0.2: 526.33
    assert needed(0.5) == 64
    assert needed(0.2, target=0.9) == 527
    assert needed(-0.5) == 64


DEGENERATE = [
    ([], []),
    ([], [1.0]),
    ([1.0], [2.0]),
    ([1.0], [2.0, 3.0]),
    ([1.0, 1.0], [1.0, 1.0]),
    ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]),
    ([0.1] * 5, [0.1] * 5),
    ([1e70, -1e70, 0.0], [1e70, -1e70, -1e70]),
    ([1e-70, 2e-70, 3e-70], [2e-70, 5e-70, 1e-70]),
    ([1e15 + n for n in range(5)], [1e15 + 2 * n for n in range(5)]),
]


@pytest.mark.parametrize(("first", "second"), DEGENERATE)
def test_what_cannot_be_said_is_none_and_never_nan_or_a_warning(
    first: list[float], second: list[float]
) -> None:
    for done in (
        describe(first), welch(first, second), mann_whitney(first, second),
        effect(first, second), median_difference(first, second), welch_anova([first, second]),
        games_howell([first, second]), normality(first), spread([first, second]),
        *((paired_t(first, second), wilcoxon(first, second)) if len(first) == len(second) else ()),
    ):  # fmt: skip
        assert all(one is None or math.isfinite(one) for one in _numbers(done)), done
    assert smallest_effect(len(first), len(second)) is None or len(first) > 1


def _numbers(done: object) -> list[float]:
    if isinstance(done, tuple | list):
        return [number for one in done for number in _numbers(one)]
    return [done] if isinstance(done, float) else []
