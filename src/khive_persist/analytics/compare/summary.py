"""A comparison in plain words, which claim no more than its figures do."""

from typing import Final, Literal

from khive_persist.analytics.compare.compare import Compared, named
from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.p_values import LEAST
from khive_persist.analytics.compare.statistics.paired import PairedT, Sign
from khive_persist.analytics.compare.statistics.proportions import ProportionDifference
from khive_persist.analytics.compare.statistics.two_samples import Welch

_ALPHA: Final = round(1 - LEVEL, 12)
# Beside these, an effect is called small, medium or large (Cohen 1988, p. 25).
_SIZES: Final = ((0.2, "very small"), (0.5, "small"), (0.8, "medium"))
# From there on a float has not every digit that would be written.
_MOST_WRITTEN_OUT: Final = 1e15

Finding = Literal["difference", "perhaps chance", "unclear", "none found", "not tested"]


def finding(one: Compared) -> Finding:
    """Return what may be said of one metric, in a word.

    A test and the interval beside it may be of two methods, as with shares: where they do not
    agree whether there is a difference, that is unclear.
    """
    if one.p is None or one.p_holm is None:
        return "not tested"
    alpha, apart = _alpha(one), _apart(one)
    is_apart = one.p < alpha
    if apart is not None and _has_zero(apart.interval) == is_apart:
        return "unclear"
    if not is_apart:
        return "none found"
    return "difference" if one.p_holm < alpha else "perhaps chance"


def sentence(one: Compared, tested: int) -> str:
    """Return what may be said of one metric.

    Args:
        one: It.
        tested: How many metrics were tested with it.
    """
    # score:heart_rate is read as words.
    name = one.metric.name.replace("_", " ").replace(":", " ")
    if one.p is None or one.p_holm is None:
        return f"Nothing can be said of {name}: {one.refusal}."
    if one.sign is not None and one.paired_t is None:
        said = _of_signs(one, name, one.sign, tested)
    elif len(one.tested) > 2:
        said = _of_many(one, name, tested)
    else:
        said = _of_two(one, name, tested)
    taken = set(one.tested)
    few = [group for place, group in enumerate(one.groups) if place not in taken]
    return said + (f" Left out for too few sessions: {named(few)}." if few else "")


def _of_two(one: Compared, name: str, tested: int) -> str:
    assert one.p is not None
    first, second = (one.groups[place].name for place in one.tested)
    apart = _apart(one)
    assert apart is not None
    interval, found = apart.interval, finding(one)
    if found == "unclear":
        has = "has 0 in it" if _has_zero(interval) else "leaves 0 out"
        return (
            f"Whether {name} differs between {first} and {second} is unclear: p {_p(one.p)} by the"
            f" test, while the {round(interval.level * 100)}% interval of the difference,"
            f" {_range(interval, one)}, {has}."
        )
    if found == "none found":
        return (
            f"No difference in {name} was found between {first} and {second}: a difference of"
            f" {_range(interval, one)} fits the data.{_missed(one)}"
        )
    more = "higher" if apart.difference > 0 else "lower"
    said = (
        f"{_capital(name)} is {more} in {second} than in {first}, by"
        f" {_value(abs(apart.difference), one)} on average ({round(interval.level * 100)}% interval"
        f" of the difference {_range(interval, one)}{_size(one)})"
    )
    return f"{said}{_held(one, tested)}"


def _of_signs(one: Compared, name: str, signs: Sign, tested: int) -> str:
    """Of pairs that all differ by the same, so that no interval can be given."""
    assert one.p is not None
    first, second = (one.groups[place].name for place in one.tested)
    more = "higher" if signs.difference > 0 else "lower"
    said = (
        f"{_capital(name)} is {more} in {second} than in {first}, by"
        f" {_value(abs(signs.difference), one)} in each of {signs.higher + signs.lower} pairs"
    )
    if one.p >= _ALPHA:
        return f"{said}, which are too few to tell it from chance (p {_p(one.p)} by the sign test)."
    return f"{said}, by the sign test{_held(one, tested)}"


def _of_many(one: Compared, name: str, tested: int) -> str:
    assert one.p is not None
    apart = [pair for pair in one.pairs or () if not _has_zero(pair.interval)]
    names = "; ".join(
        f"{one.groups[pair.second].name} is {'higher' if pair.difference > 0 else 'lower'} than"
        f" {one.groups[pair.first].name}"
        for pair in apart
    )
    count = len(one.tested)
    if one.p >= _alpha(one):
        said = f"No difference in mean {name} was found among the {count} groups (p {_p(one.p)})"
        return f"{said}, though of pairs alone {names}." if apart else f"{said}."
    said = f"Mean {name} is not the same in all {count} groups"
    if one.pairs is not None:
        said += ": " + (names or "which pair differs cannot be told")
    return f"{said}{_held(one, tested)}"


def _held(one: Compared, tested: int) -> str:
    assert one.p_holm is not None
    if tested == 1:
        return f" (p {_p(one.p_holm)})."
    if one.p_holm < _alpha(one):
        return f". It stands with all {tested} metrics counted (p {_p(one.p_holm)} by Holm)."
    return (
        f". But {tested} metrics were looked at, and among so many chance alone shows such a"
        f" difference (p {_p(one.p_holm)} by Holm)."
    )


def _alpha(one: Compared) -> float:
    """Return how rare a difference by chance has to be: as rare as one that the intervals miss."""
    apart = _apart(one) or next(iter(one.pairs or ()), None)
    return _ALPHA if apart is None else round(1 - apart.interval.level, 12)


def _apart(one: Compared) -> Welch | ProportionDifference | PairedT | None:
    """The test of two groups that counts, with its interval."""
    return one.welch or one.shares or one.paired_t


def _has_zero(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high


def _missed(one: Compared) -> str:
    if one.smallest_effect is None:
        return ""
    return (
        f" One of less than {one.smallest_effect:.2f} standard deviations would have been missed"
        " more often than 1 time in 5."
    )


def _size(one: Compared) -> str:
    if one.effect is None:
        return ""
    size = next((word for most, word in _SIZES if abs(one.effect.g) < most), "large")
    return f"; a {size} effect, g = {one.effect.g:.2f}"


def _range(interval: Interval, one: Compared) -> str:
    unit = "points" if one.metric.kind == "share" else one.metric.unit
    return f"{_value(interval.low, one).removesuffix(f' {unit}')} to {_value(interval.high, one)}"


def _value(value: float, one: Compared) -> str:
    if one.metric.kind == "share":
        return f"{100 * value:.3g} points"
    text = f"{value:,.0f}" if 10_000 <= abs(value) < _MOST_WRITTEN_OUT else f"{value:.4g}"
    return f"{text} {one.metric.unit}".rstrip()


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _p(value: float) -> str:
    """As in = 0.023; near the limit with as many digits as tell on which side it lies."""
    if value <= LEAST:
        return f"< {LEAST:g}"
    if value < 0.001:
        return "less than 0.001"
    digits = 3
    while (float(f"{value:.{digits}f}") < _ALPHA) != (value < _ALPHA):
        digits += 1
    return f"= {value:.{digits}f}"
