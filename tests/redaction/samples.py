"""A text that a regular expression matches, made of the expression."""

import re
import string
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

# Letters of both cases and digits take turns, as in real tokens.
MIXED = "a1B2c3D4e5F6" + string.ascii_letters + string.digits + string.punctuation


def example(pattern: str) -> str:
    """Make the shortest text that a pattern matches, of mixed characters."""
    return _of(_parser.parse(pattern, re.ASCII), [0])


def _of(nodes: Any, turn: list[int]) -> str:
    return "".join(_of_node(code, argument, turn) for code, argument in nodes)


def _of_node(code: Any, argument: Any, turn: list[int]) -> str:
    if code is _constants.LITERAL:
        return chr(argument)
    if code is _constants.IN:
        choices = [character for character in MIXED[:12] if _is_in(character, argument)]
        choices = choices or [character for character in MIXED if _is_in(character, argument)]
        turn[0] += 1
        return choices[turn[0] % len(choices)]
    if code in (_constants.MAX_REPEAT, _constants.POSSESSIVE_REPEAT, _constants.MIN_REPEAT):
        least, _, inner = argument
        return "".join(_of(inner, turn) for _ in range(least))
    if code is _constants.SUBPATTERN:
        return _of(argument[-1], turn)
    if code is _constants.BRANCH:
        return _of(argument[1][0], turn)
    assert code in (_constants.ASSERT, _constants.ASSERT_NOT, _constants.AT), code
    return ""


def _is_in(character: str, items: Any) -> bool:
    for code, argument in items:
        if code is _constants.LITERAL and chr(argument) == character:
            return True
        if code is _constants.RANGE and argument[0] <= ord(character) <= argument[1]:
            return True
        if code is _constants.CATEGORY and re.match(r"(?a)\w", character):
            return True
    return False
