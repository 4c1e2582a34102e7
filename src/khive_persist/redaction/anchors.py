"""A first look: what every secret has in or before it, all searched for in one pass.

Most texts have none of it. One pass over a text of 2 KB takes about a third of the time of the
rules' own searches, which are tried only where it finds something.
"""

from functools import cache

from ahocorasick_rs import AhoCorasick

from khive_persist.redaction import assignments, rules

# Of the patterns in `rules` and of the markers of private keys: what no match of them is without.
_OF_PATTERNS = (
    "eyj",
    "hooks",
    "sig=",
    "://",
    ":aa",
    "authorization",
    "bearer",
    "login",
    "private key",
)
# `-u name:password`, and `--user`.
_OF_OPTIONS = ("-u", "-pass")


# In lower case a head this short stands in every other word, as SK does in "task".
_SHORT = 2


@cache
def _anchors() -> tuple[AhoCorasick, list[str]]:
    heads = {head for _, words, _, _ in rules.TOKENS for head in words.split()}
    names = {name for names in assignments.NAMES.values() for name in names}
    long = {head.lower() for head in heads if len(head) > _SHORT}
    automaton = AhoCorasick(sorted({*long, *names, *_OF_PATTERNS, *_OF_OPTIONS}))
    return automaton, [head for head in heads if len(head) <= _SHORT]


def may_hold(text: str, low: str) -> bool:
    """Whether a text has something that a secret cannot be without.

    Args:
        text: The text, unescaped.
        low: It in lower case.
    """
    automaton, short = _anchors()
    try:
        return bool(automaton.find_matches_as_indexes(low)) or any(head in text for head in short)
    except UnicodeEncodeError:
        # A lone surrogate, which the automaton cannot read.
        return True
