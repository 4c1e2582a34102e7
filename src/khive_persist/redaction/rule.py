"""The interface of every rule: the words that it is tried at, and two ways to try it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from khive_persist.redaction.escapes import Unescaped

# Start, end (in the text as it was), kind, and the secret where it is not that slice ("": it is).
Candidate = tuple[int, int, str, str]
# Start and end of a word.
Hit = tuple[int, int]


class Rule(Protocol):
    """A way to find secrets of some kinds."""

    @property
    def words(self) -> Sequence[str]:
        """Return words in lower case: a secret of these kinds has one in it or before it."""
        ...

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        """Return whether there may be a secret at a word, in text that may still be escaped.

        It passes over no secret; `find` decides for certain.
        """
        ...

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        """Yield the secrets at these words of `text.low`, in any order."""
        ...
