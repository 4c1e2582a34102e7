"""A name that says "secret", then a value: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`.

Names are searched in lower case and may have anything before them. A value may be quoted at any
level of escaping, and then ends where a quote of that level, or of an outer one, stands. So a span
never leaves the JSON string that it began in; for the same reason a quoted name wants a quoted
value: `{"token": 1e9}` is a number.
"""

import re
from collections.abc import Iterator
from functools import cache

from khive_persist.redaction.escapes import Unescaped, compiled, unescape
from khive_persist.redaction.rules import Anchor, anchored, neighbours, place
from khive_persist.redaction.values import is_secret

NAMES = {
    "token": ["token"],
    "aws_secret_access_key": ["secret_access_key", "secret-access-key", "secretaccesskey"],
    "password": ["password", "passwd", "pwd", "_pass"],
    "passphrase": ["passphrase"],
    "secret": ["secret"],
    "credential": ["credentials", "credential"],
    **{
        f"{word}_key": [f"{word}_key", f"{word}-key", f"{word} key", f"{word}key"]
        for word in ("api", "access", "private", "secret", "account", "signing", "encryption")
    },
}
# How the names of options with a secret end.
OPTION_ENDS = [*(word for words in NAMES.values() for word in words), "-pass"]
# Rare letters that searches skip to; each name has one.
_LETTERS = "kwch_"
# After a name: `=`, `:`, `=>`, `:=`, `: str = `, the `>` of a tag that is closed, blanks before a
# long value, or `", "value": ` of a list of variables. Escaped text is searched first, too.
_SEPARATOR = (
    r"(?:[\\\"'`\])]{0,10}(?:[ \t]|\\++t){0,8}(?:={1,3}>?|:=|:(?!:)(?: ?[\w.\[\]|&]{1,40} = )?"
    r"|>(?=[^\s\"'`<>]{8,2048}+</))"
    r"|(?:[ \t|]|\\++t){1,16}(?=[a-z0-9/+]{40})"
    r"|[\\\"',\snrt]{2,80}value[\\\"']{0,8}[ \t]{0,4}[:=])"
)
_OPTION_END = r"[\"'][ \t]{0,8},\s{0,80}|[ \t]{1,8}"
_OPENING = r"(?i)[ \t]{0,8}(?:[rbuf]{1,2}(?=[\"']))?([\"'`]?)"
_USER = r"(?a)[\w.@+-]{1,128}:"
_QUOTE = "[\"'`]"
_MAX_LENGTH = 2048
# Before a value with a digit, as all have, or a very long one, in text that may be escaped: blanks,
# then what may open a value, and what may stand between two words of a command.
_NO_BLANK = r"(?:[^\s0-9\\]|\\++(?![nrt]))"
_VALUE_AHEAD = (
    r"(?=(?u:(?:[ \t]|\\++t)*+(?:[rbuf]{0,2}\\*+[\"'`][\s\\\"'`,nrtbuf]*+)?"
    rf"(?:{_NO_BLANK}{{256}}|{_NO_BLANK}*+[0-9])))"
)
# `<` ends a value in XML; quotes end one in JSON and in code.
_BARE = rf"[^\s\"'`<>]{{8,{_MAX_LENGTH}}}"
_NEXT_PAIR = r"(?a)[,;&|](?=[\w.%-]{1,64}[=:])"
_TRAILING = ",;:.)]}\\"
_OUTER_SPACE = r"(?s)((?:\s|\\++[nrt])*+)(.*?)(?:\s|\\++[nrt])*+\Z"
_MAX_OPTION = len("--") + 60
# More names than this in one value without blanks are noise, which would cost quadratic time.
_MAX_NAMES = 8


@cache
def _names(ahead: str = "") -> list[re.Pattern[str]]:
    patterns = []
    for letter in _LETTERS:
        groups, mine = [], []
        for kind, words in NAMES.items():
            some = [word for word in words if _letter(word) == letter]
            mine += some
            if some:
                groups.append(f"(?P<{kind}>{anchored(letter, some)})")
        start = neighbours(letter, mine)
        # Atomic: where `token` is not followed by a separator, no other name is tried.
        patterns.append(re.compile(f"{start}(?>{'|'.join(groups)}){_SEPARATOR}{ahead}", re.ASCII))
    return patterns


def _letter(word: str) -> str:
    return next(letter for letter in _LETTERS if letter in word)


@cache
def _options(ahead: str = "") -> re.Pattern[str]:
    ends = []
    for kind, words in NAMES.items():
        behind = [f"(?<={word.replace('_pass', '[_-]pass')})" for word in words]
        ends.append(f"(?P<{kind}>{'|'.join(behind)})")
    return re.compile(
        r"-(?=[u-])(?:(?P<cli_password>u(?:(?<![^\s\"'(]-u)|(?<=\\[nrt]-u))|-user)(?=[\\\"',\s=])"
        rf"|-(?=[a-z])[a-z0-9_-]{{3,60}}+(?:{'|'.join(ends)})(?=[\\\"',\s])){ahead}",
        re.ASCII,
    )


def anchors() -> Iterator[Anchor]:
    """Those of names and of `-u`; for other options see `OPTION_ENDS`."""
    for letter, pattern in zip(_LETTERS, _names(_VALUE_AHEAD), strict=True):
        for word in (word for words in NAMES.values() for word in words):
            if _letter(word) == letter:
                yield Anchor(word, pattern, place(letter, word), folded=True)
    # `-u`, and the second dash of `--user`.
    yield Anchor("-u", _options(_VALUE_AHEAD), 0, folded=True)
    yield Anchor("-u", _options(_VALUE_AHEAD), -1, folded=True)


def option_ends_at(low: str, end: int) -> bool:
    """Whether an option with a secret ends here, in text in lower case that may be escaped."""
    begin = max(0, end - _MAX_OPTION)
    return (
        low.find("--", begin, end) >= 0
        # The character after it counts, too.
        and _options().search(low, begin, end + 1) is not None
        and compiled(_VALUE_AHEAD).match(low, end) is not None
    )


def matches(text: Unescaped) -> Iterator[tuple[int, int, str]]:
    """Start and end in `text.raw`, and kind, of values that look like secrets."""
    for name in _names():
        yield from _values(text, _after_names(text, name))
    yield from _values(text, _after_options(text))


def _after_names(text: Unescaped, name: re.Pattern[str]) -> Iterator[tuple[str, int, bool]]:
    """Kind, where in `flat` the value begins, and whether it must be quoted."""
    for match in name.finditer(text.low):
        yield match.lastgroup or "", match.end(), compiled(_QUOTE).search(match[0]) is not None


def _after_options(text: Unescaped) -> Iterator[tuple[str, int, bool]]:
    for match in _options().finditer(text.low):
        end = compiled(_OPTION_END).match(text.flat, match.end())
        if end is None or text.flat.startswith("-", end.end()):
            continue
        kind, at, quoted = match.lastgroup or "", end.end(), end[0][0] in "\"'"
        if kind == "cli_password":
            opening = compiled(_OPENING).match(text.flat, at)
            user = opening and compiled(_USER).match(text.flat, opening.end())
            if user:
                yield kind, user.end(), False
        else:
            yield kind, at, quoted


def _values(
    text: Unescaped, places: Iterator[tuple[str, int, bool]]
) -> Iterator[tuple[int, int, str]]:
    value_end = names = 0
    for kind, at, must_be_quoted in places:
        opening = compiled(_OPENING).match(text.flat, at)
        assert opening is not None
        quote, start = opening[1], opening.end()
        if quote == '"' and (place := _quote_mark(text, opening.start(1))):
            span = _quoted(text.raw, *place)
            if span:
                yield *span, kind
        elif quote or not must_be_quoted:
            names = names + 1 if start < value_end else 0
            value = _bare(text.flat, start, quote) if names < _MAX_NAMES else ""
            if _is_value(value, quoted=bool(quote)):
                yield *text.span(start, start + len(value)), kind
            value_end = max(value_end, start + len(value))


def _quote_mark(text: Unescaped, at: int) -> tuple[int, int] | None:
    """Where its backslashes begin and it ends; None if it is `\\u0022`, which has no level."""
    start, end = text.locate(at)
    return (start, end) if text.raw[end - 1] == '"' else None


def _quoted(raw: str, start: int, end: int) -> tuple[int, int] | None:
    value = compiled(_OUTER_SPACE).match(raw, end, _closing(raw, start, end))
    assert value is not None
    return value.span(2) if _is_value(unescape(value[2]), quoted=True) else None


def _bare(flat: str, start: int, quote: str) -> str:
    run = compiled(_BARE).match(flat, start)
    if run is None or quote:
        return run[0] if run else ""
    return compiled(_NEXT_PAIR).split(run[0], 1)[0].rstrip(_TRAILING)


def _is_value(value: str, *, quoted: bool) -> bool:
    # After a quote that closed a JSON string, rather than opening one, comes one of these.
    return (
        len(value) < _MAX_LENGTH
        and not value.startswith((",", ":", "}", "]"))
        and is_secret(value, quoted=quoted)
    )


def _closing(raw: str, start: int, end: int) -> int:
    r"""Where a value ends that opens with `raw[start:end]`: some backslashes and a quote.

    In JSON within JSON, a quote of level k has 2**k - 1 backslashes before it, and those of the
    levels within have more: only these belong to the value. A value that is longer than any secret
    is taken to be empty.
    """
    own = end - start - 1
    at = raw.find('"', end, end + _MAX_LENGTH)
    while at >= 0:
        value_end = at
        while value_end > end and raw[value_end - 1] == "\\":
            value_end -= 1
        if (at - value_end) % (2 * own + 2) != 2 * own + 1:
            return value_end
        at = raw.find('"', at + 1, end + _MAX_LENGTH)
    return len(raw) if len(raw) < end + _MAX_LENGTH else end
