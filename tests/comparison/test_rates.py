"""One population against itself, some hundred times: how often a test cries, an interval misses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from khive_persist.analytics.compare.statistics.effect import effect
from khive_persist.analytics.compare.statistics.many_samples import games_howell, welch_anova
from khive_persist.analytics.compare.statistics.medians import median_difference
from khive_persist.analytics.compare.statistics.paired import paired_t, wilcoxon
from khive_persist.analytics.compare.statistics.proportions import Proportion, proportion_difference
from khive_persist.analytics.compare.statistics.results import Pair
from khive_persist.analytics.compare.statistics.two_samples import mann_whitney, welch

# Wide enough for that number of them, with a thousand as with some hundred.
TIMES = [400, pytest.param(1_000, marks=pytest.mark.long)]
Draw = Callable[[np.random.Generator], Any]


def samples(count: int, size: int) -> Draw:
    return lambda random: random.normal(10, 3, (count, size))


def skewed(count: int, size: int) -> Draw:
    """As costs and durations are."""
    return lambda random: random.lognormal(0, 0.7, (count, size))


def counts(size: int) -> Draw:
    def draw(random: np.random.Generator) -> list[Proportion]:
        return [Proportion(int(hits), size) for hits in random.binomial(size, 0.6, 2)]

    return draw


def least(pairs: Any) -> float:
    smallest: float = min(pair.p for pair in pairs)
    return smallest


def p_of(done: Any) -> float:
    p: float = done.p
    return p


@pytest.mark.parametrize(
    ("draw", "p"),
    [
        pytest.param(samples(2, 20), lambda s: p_of(welch(*s)), id="welch"),
        pytest.param(skewed(2, 200), lambda s: p_of(welch(*s)), id="welch of costs"),
        pytest.param(samples(2, 20), lambda s: p_of(mann_whitney(*s)), id="mann-whitney, exact"),
        pytest.param(skewed(2, 80), lambda s: p_of(mann_whitney(*s)), id="mann-whitney, normal"),
        pytest.param(samples(4, 20), lambda s: p_of(welch_anova(s)), id="welch anova"),
        pytest.param(
            samples(3, 20),
            lambda s: least(games_howell(s)),
            id="games-howell, any pair",
            # The studentised range is an integral over an integral: a tenth of a second a pair.
            marks=[pytest.mark.long, pytest.mark.timeout(1800)],
        ),
        pytest.param(samples(2, 20), lambda s: p_of(paired_t(*s)), id="paired t"),
        pytest.param(samples(2, 20), lambda s: p_of(wilcoxon(*s)), id="wilcoxon, exact"),
        pytest.param(samples(2, 80), lambda s: p_of(wilcoxon(*s)), id="wilcoxon, normal"),
        # Few counts have few p-values: the exact test then cries less often than it may.
        pytest.param(counts(2_000), lambda s: p_of(proportion_difference(*s)), id="fisher"),
    ],
)
@pytest.mark.parametrize("times", TIMES)
def test_of_equal_samples_one_in_twenty_is_a_finding(
    draw: Draw, p: Callable[[Any], float], times: int
) -> None:
    random = np.random.default_rng(20_261_121)
    found = sum(p(draw(random)) < 0.05 for _ in range(times))
    assert 0.03 <= found / times <= 0.07


def interval(name: str, function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda s: getattr(function(*s), name)


@pytest.mark.parametrize(
    ("draw", "ends"),
    [
        pytest.param(samples(2, 20), interval("interval", welch), id="means"),
        pytest.param(skewed(2, 200), interval("interval", welch), id="means of costs"),
        pytest.param(samples(2, 20), interval("d_interval", effect), id="d"),
        pytest.param(samples(2, 20), interval("g_interval", effect), id="g"),
        pytest.param(samples(2, 40), interval("interval", median_difference), id="medians"),
        pytest.param(skewed(2, 101), interval("interval", median_difference), id="of costs"),
        pytest.param(samples(2, 20), interval("interval", paired_t), id="paired"),
        pytest.param(counts(60), interval("interval", proportion_difference), id="proportions"),
    ],
)
@pytest.mark.parametrize("times", TIMES)
def test_intervals_cover_the_true_difference_which_is_none(
    draw: Draw, ends: Callable[[Any], Any], times: int
) -> None:
    random = np.random.default_rng(20_261_121)
    covered = 0
    for _ in range(times):
        low, high, _ = ends(draw(random))
        covered += low <= 0 <= high
    assert 0.93 <= covered / times <= 0.97


def test_intervals_of_pairs_miss_where_the_test_cries() -> None:
    random = np.random.default_rng(20_261_121)
    pairs: list[Pair] = []
    for shift in (0, 1, 1, 2):
        pairs += games_howell(random.normal([[0], [shift], [1]], 1, (3, 20)).tolist()) or []
    cries = [pair.p < 0.05 for pair in pairs]
    assert cries == [not pair.interval.low <= 0 <= pair.interval.high for pair in pairs]
    assert any(cries)
    assert not all(cries)


@pytest.mark.parametrize("times", TIMES)
def test_an_effect_that_is_there_is_covered_too(times: int) -> None:
    random = np.random.default_rng(20_261_121)
    covered = 0
    for _ in range(times):
        done = effect(random.normal(0, 2, 20).tolist(), random.normal(2, 2, 30).tolist())
        assert done is not None
        covered += done.d_interval.low <= 1 <= done.d_interval.high
    assert 0.93 <= covered / times <= 0.97
