"""A person's own regular expressions: `allow` for what is no secret, `deny` for what is one.

They run with a time limit, so that no expression and no text holds up the recording. Where the time
of one is up, the careful answer counts: what `allow` has not matched by then is redacted, and a
text that `deny` has not searched to its end goes as a whole.
"""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from khive_persist.errors import InvalidSettingsError
from khive_persist.redaction.escapes import MARK, Unescaped, compiled
from khive_persist.redaction.places import is_kept

if TYPE_CHECKING:
    import regex

# Processor time of one expression on one text, and of all on all texts of one document, with what
# is added for each million characters.
MATCH_SECONDS: Final = 0.25
DOCUMENT_SECONDS: Final = 1.0
_SECONDS_A_MILLION: Final = 1.0
# Kinds: what an expression of `deny` matched; and, with the setting and the number of the
# expression, what one ran out of time on.
DENIED: Final = "denied"
OUT_OF_TIME: Final = "out_of_time"
_STRING = r'"((?:[^"\\]|\\.)*+)"(\s*:)?'
# A key that is a plain name is not searched: fields are found by it.
_PLAIN_KEY = r"(?a)[A-Za-z_][\w-]{0,63}"


class Denied(NamedTuple):
    """A part of a text that `deny` takes out.

    Its kind is `denied`, or `out_of_time_deny_N` where the N-th expression ran out of time.
    """

    start: int
    end: int
    kind: str


class OwnPatterns:
    """The expressions of `redaction.allow` and `redaction.deny`."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, allow: Sequence[str], deny: Sequence[str]) -> None:
        """Compile the expressions.

        Raises:
            InvalidSettingsError: One is no regular expression.
        """
        self._allow = [_compile("allow", expression) for expression in allow]
        self._deny = [_compile("deny", expression) for expression in deny]

    @property
    def has_deny(self) -> bool:
        """Return whether `denied` has anything to search for."""
        return bool(self._deny)

    def allows(self, secret: str, counts: dict[str, int]) -> bool:
        """Return whether an expression of `allow` matches all of a secret, in time.

        `counts` gets each that ran out of time.
        """
        for number, pattern in enumerate(self._allow, 1):
            try:
                if pattern.fullmatch(secret, timeout=_seconds(MATCH_SECONDS, secret)):
                    return True
            except TimeoutError:
                kind = f"{OUT_OF_TIME}_allow_{number}"
                counts[kind] = counts.get(kind, 0) + 1
        return False

    def denied(self, text: str, *, is_json: bool) -> Iterator[Denied]:
        """Yield the parts that `deny` takes out of a text.

        Of a JSON document its strings are searched, each alone, but for ids, paths and keys that
        are plain names.
        """
        until = time.thread_time() + _seconds(DOCUMENT_SECONDS, text)
        if not is_json:
            yield from self._denied(text, 0, len(text), until, is_key=False)
            return
        for string in compiled(_STRING).finditer(text):
            if not is_kept(text, string.start(1), by_form=False):
                yield from self._denied(text, *string.span(1), until, is_key=bool(string[2]))

    def _denied(
        self, text: str, start: int, end: int, until: float, *, is_key: bool
    ) -> Iterator[Denied]:
        part = Unescaped(text[start:end])
        if not part.flat.strip(MARK) or (is_key and compiled(_PLAIN_KEY).fullmatch(part.raw)):
            return
        for number, pattern in enumerate(self._deny, 1):
            seconds = min(_seconds(MATCH_SECONDS, part.flat), until - time.thread_time())
            try:
                if seconds <= 0:
                    raise TimeoutError
                for match in pattern.finditer(part.flat, timeout=seconds):
                    for piece in compiled(f"[^{MARK}]+").finditer(part.flat, *match.span()):
                        first, last = part.span(*piece.span())
                        yield Denied(start + first, start + last, DENIED)
            except TimeoutError:
                yield Denied(start, end, f"{OUT_OF_TIME}_deny_{number}")
                return


def _seconds(least: float, text: str) -> float:
    return least + len(text) / 1e6 * _SECONDS_A_MILLION


def _compile(setting: str, expression: str) -> "regex.Pattern[str]":
    # Its matches have a time limit, which those of `re` do not have.
    import regex

    try:
        return regex.compile(expression)
    except (regex.error, RecursionError, OverflowError) as error:
        raise InvalidSettingsError(
            f"redaction.{setting}: {expression!r} is not a regular expression: {error}"
        ) from error
