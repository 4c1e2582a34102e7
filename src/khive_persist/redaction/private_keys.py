"""Find private keys in PEM (RFC 7468), OpenPGP, OpenSSH and PuTTY formats, whole or cut.

The lines of a key may be one string, an array of strings with `+`, `-` or a blank before each (as
in Claude Code's `structuredPatch`), or numbered (as its Read tool shows them). Lines in one string
get one placeholder; lines in strings of their own get one each, with the same tag.
"""

import re
from collections.abc import Iterator, Sequence

from khive_persist.redaction.escapes import Unescaped, compiled
from khive_persist.redaction.rule import Candidate, Hit

# Of RFC 7468, RFC 4716 (with four dashes and blanks) and PuTTY.
_MARKER = (
    r"----(?:-| )(BEGIN|END) (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?(?:-| )----"
    r"|Private-(Lines): [0-9]{1,4}"
)
# What stands between two lines: white space, or quotes and a comma; then a number or a mark.
_GAP = (
    r"[\s\"',\\]{0,80}+(?:[0-9]{1,7}+(?:[\t→|:]|[ ]{1,4}\|))?+[ \t]{0,8}+[-+> ]?[ \t]{0,8}+[\"']?"
)
_HEADERS = (
    rf"(?:{_GAP}(?:Proc-Type|DEK-Info|Version|Comment|Subject|Charset|Hash): [^\n\"]{{0,200}}+)"
    r"{1,9}"
)
_LINE = rf"({_GAP})([A-Za-z0-9/][A-Za-z0-9+/]*+={{0,2}})"
_END_NEXT = rf"{_GAP}----(?:-| )END "
# A `+` before a line is taken for a mark of a diff, and stays. JSON numbers have none of these.
_BASE64 = "[A-DF-Za-df-z=]"
# Lines have 64, 70 or 76 characters; only the last one is shorter, or one that was cut.
_FULL_LINE = 40
_CUT_LINE = 16
_MAX_CHARACTERS = 16_384


class PrivateKeyRule:
    """Find the lines of private keys."""

    words = ("private key", "private-lines:")

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        head, tail = len("-----BEGIN ") + 4 * 17, len(" BLOCK-----99")
        return compiled(_MARKER).search(text, max(0, start - head), end + tail) is not None

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        """Yield lines of keys, each with the whole key that it belongs to."""
        for start, end, key in _matches(text):
            yield start, end, "private_key", key


def _matches(text: Unescaped) -> Iterator[tuple[int, int, str]]:
    """Yield the span in `text.raw` of each line of a key, and the whole key."""
    position = 0
    for marker in compiled(_MARKER).finditer(text.flat):
        if marker[1] != "END":
            lines = _lines_after(text.flat, marker.end())
        else:
            lines = _lines_before(text.flat, position, marker.start())
        key = "".join(text.flat[start:end] for start, end in lines)
        for start, end in _joined(text.flat, lines):
            yield *text.span(start, end), key
        position = lines[-1][1] if lines else marker.end()


def _lines_after(flat: str, at: int) -> list[tuple[int, int]]:
    headers = compiled(_HEADERS).match(flat, at)
    at = headers.end() if headers else at
    lines: list[tuple[int, int]] = []
    while (line := compiled(_LINE).match(flat, at)) and _is_line(line):
        at = line.end()
        if len(line[2]) < _FULL_LINE:
            if _is_last_line(flat, line, is_only=not lines):
                lines.append(line.span(2))
            break
        lines.append(line.span(2))
    return lines


def _is_last_line(flat: str, line: re.Match[str], *, is_only: bool) -> bool:
    if is_only and len(line[2]) < _CUT_LINE:
        return False
    end = line.end()
    if compiled(_END_NEXT).match(flat, end):
        return True
    return '"' not in line[1] and flat[end : end + 1] in ("", "\n", "\r", '"', "'")


def _lines_before(flat: str, position: int, marker: int) -> list[tuple[int, int]]:
    """Return the lines of a key whose beginning was cut off."""
    lines: list[tuple[int, int]] = []
    at = -1
    for line in compiled(_LINE).finditer(flat, max(position, marker - _MAX_CHARACTERS), marker):
        follows = line.start() == at and bool(lines) and _is_line(line)
        if not follows:
            lines.clear()
        at = line.end()
        if follows or (len(line[2]) >= _FULL_LINE and compiled(_BASE64).search(line[2])):
            lines.append(line.span(2))
    return lines if lines and compiled(_END_NEXT).match(flat, at) else []


def _is_line(line: re.Match[str]) -> bool:
    # With an odd quote the line would stand outside of the strings: `null`, not base64.
    return line[1].count('"') % 2 == 0 and compiled(_BASE64).search(line[2]) is not None


def _joined(flat: str, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join lines without a quote between them, which could end a JSON string."""
    joined: list[tuple[int, int]] = []
    for start, end in lines:
        if joined and '"' not in flat[joined[-1][1] : start]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
