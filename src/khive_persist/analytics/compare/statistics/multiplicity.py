"""Many tests at once: p-values that say how often all of them together are wrong."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted so that the chance of one wrong finding among all is bounded.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6.
    """
    if not p:
        return []
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(steps, 1)
    return [float(value) for value in adjusted]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted so that the share of wrong findings among the findings is bounded.

    Benjamini and Hochberg 1995, "Controlling the false discovery rate", J. R. Stat. Soc. B 57.
    """
    return [float(value) for value in false_discovery_control(p)] if p else []
