"""A comparison as one JSON document, with every figure."""

from collections.abc import Sequence
from typing import Any

from khive_persist.analytics.compare.collect import Collected
from khive_persist.analytics.compare.compare import Compared
from khive_persist.analytics.compare.experiment import remarks
from khive_persist.analytics.compare.summary import finding, sentence


def as_document(found: Collected, compared: Sequence[Compared]) -> dict[str, Any]:
    """Return what was collected, and the entry of each metric as `metrics`."""
    about = found._asdict()
    del about["samples"], about["days"]
    about["span"] = found.span._asdict()
    if (trial := found.experiment) is not None:
        about["experiment"] = trial._asdict() | {"remarks": list(remarks(trial))}
    return about | {"metrics": entries(compared)}


def entries(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Each metric's figures, and what they allow to be said, in a word and in a sentence."""
    tested = sum(one.p is not None for one in compared)
    return [
        _plain(one) | {"finding": finding(one), "sentence": sentence(one, tested)}
        for one in compared
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
