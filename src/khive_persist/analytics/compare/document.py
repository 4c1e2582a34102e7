"""A comparison as one JSON document, with every figure."""

from collections.abc import Sequence
from typing import Any

from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.compare import MetricComparison
from khive_persist.analytics.compare.experiment import remarks
from khive_persist.analytics.compare.summary import finding, sentence


def as_document(
    collected: CollectedSamples, comparisons: Sequence[MetricComparison]
) -> dict[str, Any]:
    """Return what was collected, and the entry of each metric as `metrics`."""
    about = collected._asdict()
    del about["samples"], about["days"]
    about["span"] = collected.span._asdict()
    if (experiment := collected.experiment) is not None:
        about["experiment"] = experiment._asdict() | {"remarks": list(remarks(experiment))}
    return about | {"metrics": entries(comparisons)}


def entries(comparisons: Sequence[MetricComparison]) -> list[dict[str, Any]]:
    """Return each metric's figures, and what they allow to be said, in a word and in a sentence."""
    tested = sum(comparison.p is not None for comparison in comparisons)
    return [
        _plain(comparison)
        | {"finding": finding(comparison), "sentence": sentence(comparison, tested)}
        for comparison in comparisons
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
