"""Find values whose name says "secret": `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`.

Where a stem of `names` stands, its whole name is read, and the separator after it. A value may be
quoted at any level of escaping, and then ends at a quote of that level, or of an outer one. So a
span never leaves the JSON string that it began in; for the same reason a quoted name wants a quoted
value: `{"token": 1e9}` is a number.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from khive_persist.redaction.escapes import MARK, Unescaped, compiled, unescape
from khive_persist.redaction.names import STEMS, Name, classify
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.values import is_value_of

# The rest of a name, and after it `", "value": ` of a list of variables, a block of YAML, `=`, `:`,
# `=>`, `:=`, `?=`, `:-` (of a shell's default), `: str = `, the `>` of a tag that is closed, blanks
# before a long value, what SQL has before a quote, `||` before a default, `", ` of a call or, after
# `--name`, of a list of words, a blank after `--name`. Escaped text is searched first, too.
_SEPARATOR = (
    r"(?P<rest>[a-z0-9_-]{0,40}+)"
    r"(?:[\\\"',{:=\snrt]{2,80}(?:value|default)[\\\"']{0,8}[ \t]{0,4}[:=]"
    r"|:[ \t]{0,4}[|>][+-]?[ \t]{0,4}(?:\n|\\++n)[ \t]{1,16}"
    r"|[\\\"'`\])]{0,10}(?:[ \t]|\\++t){0,8}(?:[?|+]{0,2}={1,3}>?|:=|"
    r":(?!:)-?(?: ?[\w.\[\]|&]{1,40} = )?|>(?=[^\s\"'`<>]{6,2048}+</))"
    r"|(?:[ \t|]|\\++t){1,16}(?=[A-Za-z0-9/+]{40})"
    r"|(?<=word)[ \t]{1,4}(?=')"
    r"|(?<=password)\((?=')"
    r"|[\\\"'\])]{0,10}[ \t]{0,4}(?:\|\||\?\?|\?:|\bor\b)[ \t]{0,4}(?=[\\\"'])"
    r"|(?P<call>[\\\"']{1,10},(?:\s|\\++[nrt]){0,80}(?:default[ \t]?=[ \t]?)?(?=[rbuf\\\"']))"
    r"|(?P<blank>[ \t]{1,8}(?=[^\s=-])))"
)
# What of a name stands before its stem, and what a call begins with; both backwards.
_NAME = r"[\w.$-]*"
_CALL = r"[\"'][\\\"']{0,9}[rbuf]{0,2}[ \t\n]{0,8}\("
_MAX_NAME = 48
_SETTING = r"(?:\A|[\s\"']|\\n)(?:ENV|set -[a-z]{1,3}|setx)[ \t]{1,4}\Z"
_OPENING = r"(?i)[ \t]{0,8}(?:[rbuf]{1,2}(?=[\"']))?([\"'`]?)"
_QUOTE = "[\"'`]"
_MAX_LENGTH = 2048
# In text that may be escaped: what may stand before a value, and a value.
_SKIPPED = r"(?:[ \t\\\"'`,]|\\[nrt]|[rbuf]{1,2}(?=\\*[\"']))*+"
_LOOKED_AT = 256
_VALUE = rf"[^\s\\\"'`<>]{{1,{_LOOKED_AT}}}"
_IN_DOUBLE = rf"[^\s\\\"]{{1,{_LOOKED_AT}}}"
_INNER_QUOTE = r"\\+(?:[\"'](?![\s,:;)\]}\\]|\Z)|[^\"'nrt])"
# `<` ends a value in XML; quotes end one in JSON and in code.
_BARE = rf"[^\s\"'`<>]{{4,{_MAX_LENGTH}}}"
_WORDS = rf"[^\r\n\"'`<>]{{4,{_MAX_LENGTH}}}"
_NEXT_PAIR = r"(?a)[,;&|](?=[\w.%-]{1,64}[=:])"
_LINE_END = r"[ \t]*(?:\n|\r|\Z|\\+[nr]|[\"'])"
_TRAILING = ",;:.)]}\\"
_OUTER_SPACE = r"(?s)((?:\s|\\++[nrt])*+)(.*?)(?:\s|\\++[nrt])*+\Z"
# More names than this in one value without blanks are noise, which would cost quadratic time.
_MAX_NAMES = 8


class Assignment(NamedTuple):
    """A name, the index of its value in the text, and whether that must be quoted."""

    name: Name
    at: int
    must_be_quoted: bool


class AssignmentRule:
    """Find the values of names."""

    words = STEMS

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        assignment = assignment_at(text, low, start, end)
        if assignment is None:
            return False
        name, at, must_be_quoted = assignment
        skipped = compiled(_SKIPPED).match(text, at)
        assert skipped is not None
        opening = compiled(_QUOTE).search(skipped[0])
        if must_be_quoted and opening is None:
            return False
        value_start = skipped.end()
        is_double = opening is not None and opening[0] == '"'
        value = compiled(_IN_DOUBLE if is_double else _VALUE).match(text, value_start)
        end = value.end() if value else value_start
        # It goes on: what is escaped within may be a part of it.
        if end - value_start == _LOOKED_AT or compiled(_INNER_QUOTE).match(text, end):
            return True
        if value is None:
            return False
        quoted = opening is not None
        choices = [value[0], _without_next(value[0]).rstrip(_TRAILING)]
        if quoted and name.is_password and (words := compiled(_WORDS).match(text, value_start)):
            choices.append(words[0].rstrip("\\ "))
        return any(is_value_of(name, choice, quoted=quoted, ends_line=True) for choice in choices)

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        position = value_end = names = 0
        for start, end in hits:
            assignment = assignment_at(text.flat, text.low, start, end)
            if assignment is None or assignment.at <= position:
                continue
            position = assignment.at
            opening = compiled(_OPENING).match(text.flat, position)
            assert opening is not None
            quote, value_start = opening[1], opening.end()
            if quote == '"' and (mark := _quote_mark(text, opening.start(1))):
                span = _quoted(text.raw, *mark, assignment.name)
                if span:
                    yield *span, assignment.name.kind, ""
            elif quote or not assignment.must_be_quoted:
                names = names + 1 if value_start < value_end else 0
                value = _bare(text.flat, value_start, quote) if names < _MAX_NAMES else ""
                end = value_start + len(value)
                if _is_value(assignment.name, value, text.flat, value_start, quoted=bool(quote)):
                    yield *text.span(value_start, end), assignment.name.kind, ""
                value_end = max(value_end, end)


def assignment_at(text: str, low: str, start: int, end: int) -> Assignment | None:
    """Return the assignment to the name that has a stem here, in text that may be escaped."""
    end = start + len(low[start:end].rstrip(" =:"))
    separator = compiled(_SEPARATOR).match(low, end)
    if separator is None:
        return None
    # Backwards, as a search for what ends here would be tried at every character.
    prefix = compiled(_NAME).match(text[max(0, start - _MAX_NAME) : start][::-1])
    assert prefix is not None
    name_start = start - prefix.end()
    if name_start and text[name_start - 1] == "\\" and text[name_start] in "nrtbf":
        name_start += 1
    is_option = text.startswith("--", name_start)
    if not is_option and (
        (separator["blank"] and not _is_set(text, name_start))
        or (
            separator["call"]
            and not compiled(_CALL).match(text[max(0, name_start - 20) : name_start][::-1])
        )
    ):
        return None
    identifier = text[name_start : separator.end("rest")]
    name = classify(identifier.lstrip("\"'"))
    if name is None:
        return None
    quoted = compiled(_QUOTE).search(low, separator.end("rest"), separator.end()) is not None
    return Assignment(name, separator.end(), quoted)


def _is_set(text: str, name_start: int) -> bool:
    """Return whether `ENV` or another word that sets a variable stands before the name."""
    return compiled(_SETTING).search(text, max(0, name_start - 12), name_start) is not None


def _quote_mark(text: Unescaped, at: int) -> tuple[int, int] | None:
    """Return the span of a quote and its backslashes; None for `\\u0022`, which has no level."""
    start, end = text.locate(at)
    return (start, end) if text.raw[end - 1] == '"' else None


def _quoted(raw: str, start: int, end: int, name: Name) -> tuple[int, int] | None:
    value = compiled(_OUTER_SPACE).match(raw, end, _closing(raw, start, end))
    assert value is not None
    secret = unescape(value[2])
    return value.span(2) if _is_value(name, secret, "", 0, quoted=True) else None


def _bare(flat: str, start: int, quote: str) -> str:
    if quote:
        words = compiled(_WORDS).match(flat, start)
        if words and flat.startswith(quote, words.end()):
            return words[0]
    run = compiled(_BARE).match(flat, start)
    if run is None or quote:
        return run[0] if run else ""
    return _without_next(run[0]).rstrip(_TRAILING)


def _without_next(run: str) -> str:
    """Return a value without the pairs after it: `a=b&c=d`."""
    return compiled(_NEXT_PAIR).split(run, 1)[0]


def _is_value(name: Name, value: str, flat: str, start: int, *, quoted: bool) -> bool:
    ends_line = compiled(_LINE_END).match(flat, start + len(value)) is not None
    # After a quote that closed a JSON string, rather than opening one, comes one of these.
    return (
        0 < len(value) < _MAX_LENGTH
        and not value.startswith((",", ":", "}", "]"))
        # A list: `RowRule` judges its items.
        and (quoted or not value.startswith("["))
        and MARK not in value
        and is_value_of(name, value, quoted=quoted, ends_line=ends_line)
    )


def _closing(raw: str, start: int, end: int) -> int:
    r"""Return the end of a value that opens with `raw[start:end]`: some backslashes and a quote.

    In JSON within JSON, a quote of level k has 2**k - 1 backslashes before it, and those of the
    levels within have more: only these belong to the value. A value that is longer than any secret
    is taken to be empty.
    """
    backslashes = end - start - 1
    at = raw.find('"', end, end + _MAX_LENGTH)
    while at >= 0:
        value_end = at
        while value_end > end and raw[value_end - 1] == "\\":
            value_end -= 1
        if (at - value_end) % (2 * backslashes + 2) != 2 * backslashes + 1:
            return value_end
        at = raw.find('"', at + 1, end + _MAX_LENGTH)
    return len(raw) if len(raw) < end + _MAX_LENGTH else end
