"""A comparison in plain words, which claim no more than its figures do."""

from collections.abc import Sequence
from typing import Final

from khive_persist.analytics.compare.comparison import Finding, Group, MetricComparison
from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.p_values import LEAST
from khive_persist.analytics.compare.statistics.results import (
    PairedT,
    ProportionDifference,
    Sign,
    Welch,
)

_ALPHA: Final = round(1 - LEVEL, 12)
# Beside these, an effect is called small, medium or large (Cohen 1988, p. 25).
_SIZES: Final = ((0.2, "very small"), (0.5, "small"), (0.8, "medium"))
# From there on a float has not every digit that would be written.
_MOST_WRITTEN_OUT: Final = 1e15
_MOST_NAMED: Final = 3


def finding(comparison: MetricComparison) -> Finding:
    """Return what may be said of one metric, in a word.

    A test and the interval beside it may be of two methods, as with shares: where they do not
    agree whether there is a difference, that is unclear.
    """
    if comparison.p is None or comparison.p_holm is None:
        return "not tested"
    alpha, test = _alpha(comparison), _apart(comparison)
    is_apart = comparison.p < alpha
    if test is not None and _has_zero(test.interval) == is_apart:
        return "unclear"
    if not is_apart:
        return "none found"
    return "difference" if comparison.p_holm < alpha else "perhaps chance"


def sentence(comparison: MetricComparison, tested: int) -> str:
    """Return what may be said of one metric, where so many were tested in all."""
    # score:heart_rate is read as words.
    name = comparison.metric.name.replace("_", " ").replace(":", " ")
    if comparison.p is None or comparison.p_holm is None:
        return f"Nothing can be said of {name}: {comparison.refusal}."
    if comparison.sign is not None and comparison.paired_t is None:
        text = _of_signs(comparison, name, comparison.sign, tested)
    elif len(comparison.tested) > 2:
        text = _of_many(comparison, name, tested)
    else:
        text = _of_two(comparison, name, tested)
    tested_groups = set(comparison.tested)
    small = [group for place, group in enumerate(comparison.groups) if place not in tested_groups]
    return text + (f" Left out for too few sessions: {named(small)}." if small else "")


def named(groups: Sequence[Group]) -> str:
    """Return the first groups with their sizes, and how many more there are."""
    listed = ", ".join(f"{group.name} {group.description.n}" for group in groups[:_MOST_NAMED])
    more = len(groups) - _MOST_NAMED
    return f"{listed} and {more} more" if more > 0 else listed


def _of_two(comparison: MetricComparison, name: str, tested: int) -> str:
    assert comparison.p is not None
    first, second = (comparison.groups[place].name for place in comparison.tested)
    test = _apart(comparison)
    assert test is not None
    interval, result = test.interval, finding(comparison)
    if result == "unclear":
        has = "has 0 in it" if _has_zero(interval) else "leaves 0 out"
        return (
            f"Whether {name} differs between {first} and {second} is unclear: p {_p(comparison.p)}"
            f" by the test, while the {round(interval.level * 100)}% interval of the difference,"
            f" {_range(interval, comparison)}, {has}."
        )
    if result == "none found":
        return (
            f"No difference in {name} was found between {first} and {second}: a difference of"
            f" {_range(interval, comparison)} fits the data.{_missed(comparison)}"
        )
    direction = "higher" if test.difference > 0 else "lower"
    text = (
        f"{_capital(name)} is {direction} in {second} than in {first}, by"
        f" {_value(abs(test.difference), comparison)} on average"
        f" ({round(interval.level * 100)}% interval of the difference"
        f" {_range(interval, comparison)}{_size(comparison)})"
    )
    return f"{text}{_held(comparison, tested)}"


def _of_signs(comparison: MetricComparison, name: str, signs: Sign, tested: int) -> str:
    """Return the sentence of pairs that all differ by the same: they have no interval."""
    assert comparison.p is not None
    first, second = (comparison.groups[place].name for place in comparison.tested)
    direction = "higher" if signs.difference > 0 else "lower"
    text = (
        f"{_capital(name)} is {direction} in {second} than in {first}, by"
        f" {_value(abs(signs.difference), comparison)} in each of"
        f" {signs.higher + signs.lower} pairs"
    )
    if comparison.p >= _ALPHA:
        p = _p(comparison.p)
        return f"{text}, which are too few to tell it from chance (p {p} by the sign test)."
    return f"{text}, by the sign test{_held(comparison, tested)}"


def _of_many(comparison: MetricComparison, name: str, tested: int) -> str:
    assert comparison.p is not None
    differing = [pair for pair in comparison.pairs or () if not _has_zero(pair.interval)]
    names = "; ".join(
        f"{comparison.groups[pair.second].name} is"
        f" {'higher' if pair.difference > 0 else 'lower'} than {comparison.groups[pair.first].name}"
        for pair in differing
    )
    count = len(comparison.tested)
    if comparison.p >= _alpha(comparison):
        p = _p(comparison.p)
        text = f"No difference in mean {name} was found among the {count} groups (p {p})"
        return f"{text}, though of pairs alone {names}." if differing else f"{text}."
    text = f"Mean {name} is not the same in all {count} groups"
    if comparison.pairs is not None:
        text += ": " + (names or "which pair differs cannot be told")
    return f"{text}{_held(comparison, tested)}"


def _held(comparison: MetricComparison, tested: int) -> str:
    assert comparison.p_holm is not None
    if tested == 1:
        return f" (p {_p(comparison.p_holm)})."
    if comparison.p_holm < _alpha(comparison):
        return f". It stands with all {tested} metrics counted (p {_p(comparison.p_holm)} by Holm)."
    return (
        f". But {tested} metrics were looked at, and among so many chance alone shows such a"
        f" difference (p {_p(comparison.p_holm)} by Holm)."
    )


def _alpha(comparison: MetricComparison) -> float:
    """Return how rare a difference by chance has to be: as rare as one that the intervals miss."""
    test = _apart(comparison) or next(iter(comparison.pairs or ()), None)
    return _ALPHA if test is None else round(1 - test.interval.level, 12)


def _apart(comparison: MetricComparison) -> Welch | ProportionDifference | PairedT | None:
    """Return the test of two groups that counts, with its interval."""
    return comparison.welch or comparison.shares or comparison.paired_t


def _has_zero(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high


def _missed(comparison: MetricComparison) -> str:
    if comparison.smallest_effect is None:
        return ""
    return (
        f" One of less than {comparison.smallest_effect:.2f} standard deviations would have been"
        " missed more often than 1 time in 5."
    )


def _size(comparison: MetricComparison) -> str:
    if comparison.effect is None:
        return ""
    size = next((word for most, word in _SIZES if abs(comparison.effect.g) < most), "large")
    return f"; a {size} effect, g = {comparison.effect.g:.2f}"


def _range(interval: Interval, comparison: MetricComparison) -> str:
    unit = "points" if comparison.metric.kind == "share" else comparison.metric.unit
    low = _value(interval.low, comparison).removesuffix(f" {unit}")
    return f"{low} to {_value(interval.high, comparison)}"


def _value(value: float, comparison: MetricComparison) -> str:
    if comparison.metric.kind == "share":
        return f"{100 * value:.3g} points"
    text = f"{value:,.0f}" if 10_000 <= abs(value) < _MOST_WRITTEN_OUT else f"{value:.4g}"
    return f"{text} {comparison.metric.unit}".rstrip()


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _p(value: float) -> str:
    """Return a p-value as in = 0.023; near the limit with enough digits to tell its side."""
    if value <= LEAST:
        return f"< {LEAST:g}"
    if value < 0.001:
        return "less than 0.001"
    digits = 3
    while (float(f"{value:.{digits}f}") < _ALPHA) != (value < _ALPHA):
        digits += 1
    return f"= {value:.{digits}f}"
