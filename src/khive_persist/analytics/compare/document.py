"""A comparison with all that is said of it, and as plain values."""

from collections.abc import Sequence
from typing import Any

from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.comparison import Comparison, MetricComparison
from khive_persist.analytics.compare.experiment import remarks
from khive_persist.analytics.compare.summary import finding, sentence


def comparison_of(
    collected: CollectedSamples, comparisons: Sequence[MetricComparison]
) -> Comparison:
    """Return what was collected, and the comparison by each metric, in words, too."""
    experiment = collected.experiment
    if experiment is not None:
        experiment = experiment._replace(remarks=tuple(remarks(experiment)))
    return Comparison(
        by=collected.by,
        groups=collected.groups,
        sessions=collected.sessions,
        ungrouped=collected.ungrouped,
        unwanted=collected.unwanted,
        pairs=collected.pairs,
        span=collected.span,
        experiment=experiment,
        metrics=with_words(comparisons),
    )


def with_words(comparisons: Sequence[MetricComparison]) -> list[MetricComparison]:
    """Return each comparison with what its figures allow to be said, in a word and a sentence."""
    tested = sum(comparison.p is not None for comparison in comparisons)
    return [
        comparison._replace(finding=finding(comparison), sentence=sentence(comparison, tested))
        for comparison in comparisons
    ]


def plain(value: Any) -> Any:
    """Return named tuples as plain objects and arrays, at any depth."""
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
