"""A name that says "secret", then a value: `DB_PASSWORD=…`, `"api_key": "…"`, `--token …`.

Where a stem of `names` stands, its whole name is read, and what separates it from a value. A value
may be quoted at any level of escaping, and then ends where a quote of that level, or of an outer
one, stands. So a span never leaves the JSON string that it began in; for the same reason a quoted
name wants a quoted value: `{"token": 1e9}` is a number.
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
    """A name, where in the text its value begins, and whether that must be quoted."""

    name: Name
    at: int
    must_be_quoted: bool


class AssignmentRule:
    """Finds the values of names."""

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
        begin = skipped.end()
        is_double = opening is not None and opening[0] == '"'
        value = compiled(_IN_DOUBLE if is_double else _VALUE).match(text, begin)
        end = value.end() if value else begin
        # It goes on: what is escaped within may be a part of it.
        if end - begin == _LOOKED_AT or compiled(_INNER_QUOTE).match(text, end):
            return True
        if value is None:
            return False
        quoted = opening is not None
        choices = [value[0], _without_next(value[0]).rstrip(_TRAILING)]
        if quoted and name.is_password and (words := compiled(_WORDS).match(text, begin)):
            choices.append(words[0].rstrip("\\ "))
        return any(is_value_of(name, each, quoted=quoted, ends_line=True) for each in choices)

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        done = value_end = names = 0
        for start, end in hits:
            assignment = assignment_at(text.flat, text.low, start, end)
            if assignment is None or assignment.at <= done:
                continue
            done = assignment.at
            opening = compiled(_OPENING).match(text.flat, done)
            assert opening is not None
            quote, begin = opening[1], opening.end()
            if quote == '"' and (mark := _quote_mark(text, opening.start(1))):
                span = _quoted(text.raw, *mark, assignment.name)
                if span:
                    yield *span, assignment.name.kind, ""
            elif quote or not assignment.must_be_quoted:
                names = names + 1 if begin < value_end else 0
                value = _bare(text.flat, begin, quote) if names < _MAX_NAMES else ""
                if _is_value(assignment.name, value, text.flat, begin, quoted=bool(quote)):
                    yield *text.span(begin, begin + len(value)), assignment.name.kind, ""
                value_end = max(value_end, begin + len(value))


def assignment_at(text: str, low: str, start: int, end: int) -> Assignment | None:
    """The assignment to the name that has a stem here, in text that may be escaped."""
    end = start + len(low[start:end].rstrip(" =:"))
    separator = compiled(_SEPARATOR).match(low, end)
    if separator is None:
        return None
    # Backwards, as a search for what ends here would be tried at every character.
    before = compiled(_NAME).match(text[max(0, start - _MAX_NAME) : start][::-1])
    assert before is not None
    begin = start - before.end()
    if begin and text[begin - 1] == "\\" and text[begin] in "nrtbf":
        begin += 1
    is_option = text.startswith("--", begin)
    if not is_option and (
        (separator["blank"] and not _is_set(text, begin))
        or (separator["call"] and not compiled(_CALL).match(text[max(0, begin - 20) : begin][::-1]))
    ):
        return None
    identifier = text[begin : separator.end("rest")]
    name = classify(identifier.lstrip("\"'"))
    if name is None:
        return None
    quoted = compiled(_QUOTE).search(low, separator.end("rest"), separator.end()) is not None
    return Assignment(name, separator.end(), quoted)


def _is_set(text: str, begin: int) -> bool:
    """Tell whether a variable is set before this: `ENV NAME value`, of a Dockerfile and others."""
    return compiled(_SETTING).search(text, max(0, begin - 12), begin) is not None


def _quote_mark(text: Unescaped, at: int) -> tuple[int, int] | None:
    """Return where its backslashes begin and it ends; None if it is `\\u0022`, which has no
    level.
    """
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
    """A value without the pairs after it: `a=b&c=d`."""
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
    r"""Return where a value ends that opens with `raw[start:end]`: some backslashes and a quote.

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
