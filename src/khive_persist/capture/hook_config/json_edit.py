"""Edit JSON text in place: every byte that an edit is not about stays as it is.

`insert` and `remove` undo each other with no state kept between them, because what is inserted
tells how the container was before:

- An item goes behind the last one, as `,` and white space and the item. To remove it is to cut from
  the end of the item before it to its own end.
- Into an empty container it goes right behind the opening bracket, so that what white space was
  there follows it. To remove it is to cut the item.
- A container that is inserted with an item has white space behind its opening bracket. It goes when
  its last item does.

A container that some program wrote anew meanwhile cannot be told from one of the third kind, and
goes too: an empty one means the same as none.
"""

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, NoReturn

from khive_persist.capture.hook_config.invalid_text import InvalidTextError

_WHITE_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_NO_NEWLINE: Final = re.compile(r"[^\r\n]")
_BYTE_ORDER_MARK: Final = "\ufeff"
_CLOSING: Final = {"{": "}", "[": "]"}
_DEFAULT_UNIT: Final = "  "


class InvalidJsonError(InvalidTextError):
    """The text is not JSON, or not of the expected shape."""


class Item(NamedTuple):
    """A member of an object or an item of an array: `text[start:end]`, its value from `at` on."""

    key: str | None
    start: int
    at: int
    end: int
    value: object


class Container(NamedTuple):
    """An object or an array: its brackets are `text[opening]` and `text[closing]`."""

    opening: int
    closing: int
    items: tuple[Item, ...]


class Step(NamedTuple):
    """One step on the way from the root to an item: the container, and the item's position."""

    container: Container
    position: int

    @property
    def item(self) -> Item:
        """Return the item that the step leads to."""
        return self.container.items[self.position]


class JsonText:
    """The text of a JSON document whose root is an object. It does not change: edits return text.

    Args:
        text: The text, which may begin with a byte order mark.
        comments: Whether `//` and `/* */` comments may stand where white space may.

    Attributes:
        text: The text.
        value: The document's value, with numbers as text.
        root: The document's outermost object.

    Raises:
        InvalidJsonError: It is something else, or nested too deep to be read.
    """

    def __init__(self, text: str, *, comments: bool = False) -> None:
        self.text = text
        # The same length, with spaces for comments: its positions are those of the text.
        self._plain = _STRING_OR_COMMENT.sub(_blank, text) if comments else text
        start = _skip(self._plain, 1 if text.startswith(_BYTE_ORDER_MARK) else 0)
        try:
            value, end = _DECODER.raw_decode(self._plain, start)
        except json.JSONDecodeError as error:
            raise InvalidJsonError(f"not valid JSON ({error.msg})", text, error.pos) from error
        except _ConstantError as error:
            position = self._plain.find(str(error))
            raise InvalidJsonError(f"not valid JSON ({error})", text, position) from error
        except RecursionError as error:
            raise InvalidJsonError("nested too deep", text, start) from error
        document_end = _skip(self._plain, end)
        if document_end != len(text):
            raise InvalidJsonError("not valid JSON (text behind its end)", text, document_end)
        if not isinstance(value, dict):
            raise InvalidJsonError("not an object", text, start)
        self.value: dict[str, object] = value
        self.root = self._scan(start)
        self.newline = "\r\n" if "\r\n" in text else "\n"
        first = self.root.items[0] if self.root.items else None
        own_line = self._line_indentation(first.start) if first else None
        self._unit = _DEFAULT_UNIT if own_line is None else own_line

    def container(self, item: Item) -> Container:
        """Return the object or array that an item holds."""
        return self._scan(item.at)

    def refuse(self, message: str, position: int) -> NoReturn:
        """Raise `InvalidJsonError` for what stands at a position."""
        raise InvalidJsonError(message, self.text, position)

    def indentation(self, container: Container) -> str:
        """Return the indentation of an item of the container."""
        for item in reversed(container.items):
            own_line = self._line_indentation(item.start)
            if own_line is not None:
                return own_line
        line = self.text.rfind("\n", 0, container.opening) + 1
        return self.text[line : _skip(self.text, line)].replace("\r", "") + self._unit

    def insert(
        self, container: Container, item: str, levels: Sequence[tuple[str, str]] = ()
    ) -> str:
        """Return the text with an item more at the end of a container.

        Args:
            container: One of this text.
            item: JSON of one line, with its key if it has one.
            levels: The containers to wrap the item in: the key and the brackets of each, the
                outermost first.
        """
        indentation = self.indentation(container)
        for depth in reversed(range(len(levels))):
            key, brackets = levels[depth]
            outer = self.newline + indentation + self._unit * depth
            inner = outer + self._unit
            item = f"{json.dumps(key)}: {brackets[0]}{inner}{item}{outer}{brackets[1]}"
        if not container.items:
            return self.replace(container.opening + 1, container.opening + 1, item)
        end = container.items[-1].end
        return self.replace(end, end, f",{self.newline}{indentation}{item}")

    def remove(self, way: Sequence[Step]) -> str | None:
        """Return the text without the item at the end of a way, and what was inserted for it.

        Comments stay. It is None where nothing is left but a root that `insert` did not find there.
        """
        container, index = way[-1]
        item = container.items[index]
        if len(container.items) == 1:
            behind = container.opening + 1
            found_empty = item.start == behind
            if found_empty or self._has_comment(behind, container.closing):
                return self.replace(item.start, item.end, "")
            if len(way) > 1:
                return self.remove(way[:-1])
            if self.text[: container.opening] + self.text[container.closing + 1 :].strip():
                return self.replace(behind, container.closing, "")
            return None
        if index:
            comma = self._plain.index(",", container.items[index - 1].end)
            start, end = container.items[index - 1].end, item.end
        else:
            comma = self._plain.index(",", item.end)
            start, end = item.start, container.items[1].start
        if self._has_comment(start, item.start) or self._has_comment(item.end, end):
            without = self.text[: item.start] + self.text[item.end :]
            comma -= item.end - item.start if comma >= item.end else 0
            return without[:comma] + without[comma + 1 :]
        return self.replace(start, end, "")

    def replace(self, start: int, end: int, new: str) -> str:
        """Return the text with another text from `start` to `end`."""
        return self.text[:start] + new + self.text[end:]

    def _has_comment(self, start: int, end: int) -> bool:
        return self.text[start:end] != self._plain[start:end]

    def _line_indentation(self, position: int) -> str | None:
        """Return the white space before a position in its line; None where other text is there."""
        line = self.text.rfind("\n", 0, position) + 1
        prefix = self.text[line:position]
        return prefix if line and not prefix.strip(" \t") else None

    def _scan(self, opening: int) -> Container:
        try:
            return self._scanned(opening)
        except RecursionError as error:
            raise InvalidJsonError("nested too deep", self.text, opening) from error

    def _scanned(self, opening: int) -> Container:
        text = self._plain
        closing = _CLOSING[text[opening]]
        items = []
        at = _skip(text, opening + 1)
        while text[at] != closing:
            start, key = at, None
            if closing == "}":
                key, at = _DECODER.raw_decode(text, start)
                at = _skip(text, _skip(text, at) + 1)
            value, end = _DECODER.raw_decode(text, at)
            items.append(Item(key, start, at, end, value))
            at = _skip(text, end)
            if text[at] == ",":
                at = _skip(text, at + 1)
        return Container(opening, at, tuple(items))


def _blank(match: re.Match[str]) -> str:
    token = match[0]
    return token if token[0] == '"' else _NO_NEWLINE.sub(" ", token)


def _skip(text: str, at: int) -> int:
    match = _WHITE_SPACE.match(text, at)
    return match.end() if match else at


class _ConstantError(Exception):
    """NaN or Infinity, which Python reads and JSON does not have."""


def _refuse_constant(word: str) -> NoReturn:
    raise _ConstantError(word)


# Numbers stay text: one of more digits than Python converts is valid JSON, too.
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)
