"""A comparison in plain words, which claim no more than its figures do."""

from typing import Final

from khive_persist.comparison.comparing import Compared
from khive_persist.comparison.statistics.interval import Interval

ALPHA: Final = 0.05
# Beside these, an effect is called small, medium or large (Cohen 1988, p. 25).
_SIZES: Final = ((0.2, "very small"), (0.5, "small"), (0.8, "medium"))


def sentence(one: Compared, tested: int) -> str:
    """What may be said of one metric.

    Args:
        one: It.
        tested: How many metrics were tested with it.
    """
    # score:heart_rate is read as words.
    name = one.metric.name.replace("_", " ").replace(":", " ")
    if one.p is None or one.p_holm is None:
        return f"Nothing can be said of {name}: {one.refusal}."
    if one.welch_anova is not None:
        return _of_many(one, name, tested)
    first, second = one.groups[0].name, one.groups[1].name
    difference, interval = _difference(one)
    if one.p >= ALPHA:
        return (
            f"No difference in {name} was found between {first} and {second}: a difference of"
            f" {_range(interval, one)} fits the data.{_missed(one)}"
        )
    more = "higher" if difference > 0 else "lower"
    said = (
        f"{name.capitalize()} is {more} in {second} than in {first}, by"
        f" {_value(abs(difference), one)} on average ({round(interval.level * 100)}% interval of"
        f" the difference {_range(interval, one)}{_size(one)})"
    )
    return f"{said}{_held(one, tested)}"


def _of_many(one: Compared, name: str, tested: int) -> str:
    assert one.p is not None
    if one.p >= ALPHA:
        return f"No difference in mean {name} was found among the {len(one.groups)} groups."
    apart = [pair for pair in one.pairs or () if pair.p < ALPHA]
    names = [
        f"{one.groups[pair.second].name} is {'higher' if pair.difference > 0 else 'lower'} than"
        f" {one.groups[pair.first].name}"
        for pair in apart
    ]
    said = f"Mean {name} is not the same in all {len(one.groups)} groups"
    if one.pairs is not None:
        said += ": " + ("; ".join(names) if names else "which pair differs cannot be told")
    return f"{said}{_held(one, tested)}"


def _held(one: Compared, tested: int) -> str:
    assert one.p_holm is not None
    if tested == 1:
        return f" (p {_p(one.p_holm)})."
    if one.p_holm < ALPHA:
        return f". It stands with all {tested} metrics counted (p {_p(one.p_holm)} by Holm)."
    return (
        f". But {tested} metrics were looked at, and among so many chance alone shows such a"
        f" difference (p {_p(one.p_holm)} by Holm)."
    )


def _difference(one: Compared) -> tuple[float, Interval]:
    found = one.welch or one.shares or one.paired_t
    assert found is not None
    return found.difference, found.interval


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
    text = f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{text} {one.metric.unit}".rstrip()


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "less than 0.001"
