"""A comparison as one document, and as plain values."""

from collections.abc import Sequence
from typing import Any

from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.comparison import Comparison, MetricComparison


def comparison_of(
    collected: CollectedSamples, comparisons: Sequence[MetricComparison]
) -> Comparison:
    """Return what was collected, and the comparison by each metric."""
    return Comparison(
        by=collected.by,
        groups=collected.groups,
        sessions=collected.sessions,
        ungrouped=collected.ungrouped,
        unwanted=collected.unwanted,
        pairs=collected.pairs,
        span=collected.span,
        experiment=collected.experiment,
        metrics=list(comparisons),
    )


def plain(value: Any) -> Any:
    """Return named tuples as plain objects and arrays, at any depth."""
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
