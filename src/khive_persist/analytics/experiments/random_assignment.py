"""The variant that the draw of an experiment gives a session."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Final

from khive_persist.models.experiment import Variant

_DOMAIN: Final = "khive-persist draw"
_BYTES: Final = 8


def fraction(experiment: str, session_id: str) -> Fraction:
    """Return where in [0, 1) the session lies in this experiment; evenly spread over all sessions.

    It is n / 2^64, where n is the first 8 bytes, big-endian, of the SHA-256 of the UTF-8 of
    `khive-persist draw`, a NUL, the experiment's name, a NUL, and the session's id.
    """
    text = f"{_DOMAIN}\0{experiment}\0{session_id}"
    digest = hashlib.sha256(text.encode()).digest()
    return Fraction(int.from_bytes(digest[:_BYTES]), 1 << 8 * _BYTES)


def draw(experiment: str, session_id: str, variants: Sequence[Variant]) -> str:
    """Return the variant of a session: anybody who has the names and weights can draw it again.

    Let w1, w2, … be the weights, in the order of the variants, and W their sum: the variant is the
    first, the i-th, with `fraction` < (w1 + … + wi) / W. All is reckoned in fractions, without
    rounding; a weight that is no whole number is the value of its 64-bit float.
    """
    sums = list(accumulate(Fraction(variant["weight"]) for variant in variants))
    at = fraction(experiment, session_id) * sums[-1]
    return next(variant["name"] for variant, end in zip(variants, sums, strict=True) if at < end)
