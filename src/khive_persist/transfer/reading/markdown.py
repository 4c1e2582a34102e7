"""Markdown with front matter: its fields, and the text below them as `body`.

YAML is read as JSON's types by the core schema of YAML 1.2: a date, `no` and `12:30` are text.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from khive_persist.errors import InvalidRecordError, extra
from khive_persist.transfer.plain_documents import PlainRecords
from khive_persist.transfer.row_validation import SourceEntry, entry_of

BODY: Final = "body"
MAX_CHARACTERS: Final = 64 << 20
# Both parsers go over all that is open, or over all parts of a key, for each of their tokens:
# without a limit some thousands of these take minutes.
_FRONT_CHARACTERS: Final = 64 << 10
_LEVELS: Final = 64
# A text without an end goes to the end of its line, so that the search is linear.
_PART: Final = re.compile(r"""(?:"(?:[^"\\\n]|\\.)*+"?|'[^'\n]*+'?|[\w-]++)""")
_KEY: Final = re.compile(rf"{_PART.pattern}(?:[ \t]*+\.[ \t]*+{_PART.pattern})*+")
# The line that it begins with, and those that it may end with.
_FENCES: Final = {"---": ("---", "..."), "+++": ("+++",)}
_HINT: Final = "name it with --purpose"


def is_markdown(head: bytes) -> bool:
    """Return whether a text that begins so has front matter."""
    first, end, _ = head.partition(b"\n")
    return bool(end) and first.rstrip().decode("ascii", "replace") in _FENCES


def read_markdown(
    text: str, location: str, id: str | None, plain: PlainRecords | None
) -> SourceEntry:
    """Return the record of a Markdown text.

    Args:
        text: All of it, or more of it than `MAX_CHARACTERS`.
        location: The location of the text, for a person.
        id: The id where no field has one.
        plain: The mapping of the document to a record.

    Raises:
        MissingExtraError: Its front matter is YAML, and PyYAML is not here.
    """
    if len(text) > MAX_CHARACTERS:
        return SourceEntry(location, text[:1000], reason=f"longer than {MAX_CHARACTERS}")
    if plain is None:
        return SourceEntry(location, text, reason=f"it does not say what it is: {_HINT}")
    return entry_of(location, text, lambda: plain.row(_document(text), id))


def _document(text: str) -> dict[str, Any]:
    first, _, remainder = text.partition("\n")
    fence = first.rstrip()
    front: list[str] = []
    length = 0
    lines = remainder.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.rstrip() in _FENCES.get(fence, ()):
            body = "".join(lines[number + 1 :]).removeprefix("\n")
            break
        front.append(line)
        length += len(line)
        if length > _FRONT_CHARACTERS:
            raise InvalidRecordError(
                f"its front matter has more than {_FRONT_CHARACTERS} characters, or no end"
            )
    else:
        raise InvalidRecordError("its front matter is not there, or has no end")
    fields = _fields("".join(front), is_toml=fence == "+++")
    if not body.strip():
        return fields
    if BODY in fields:
        raise InvalidRecordError(f"it has both a field {BODY} and a text")
    return {**fields, BODY: body}


def _fields(text: str, *, is_toml: bool) -> dict[str, Any]:
    try:
        fields = _load_toml(text) if is_toml else _load_yaml(text)
    except ValueError as error:
        raise InvalidRecordError(f"its front matter: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InvalidRecordError("its front matter is nested too deep") from error
    if not isinstance(fields, Mapping):
        raise InvalidRecordError("its front matter has no fields")
    return dict(fields)


def _load_toml(text: str) -> Any:
    if any(len(_PART.findall(key[0])) > _LEVELS for key in _KEY.finditer(text)):
        raise ValueError(f"a key of more than {_LEVELS} parts")
    return tomllib.loads(text)


def _load_yaml(text: str) -> Any:
    yaml, loader = _yaml()
    try:
        value = yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return {} if value is None else value


@cache
def _yaml() -> tuple[Any, Any]:
    with extra("export", "front matter in YAML"):
        import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Reads what JSON can hold, and each key once."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own

        def fetch_flow_collection_start(self, TokenClass: Any) -> Any:  # noqa: N803 - PyYAML's own
            if self.flow_level >= _LEVELS:
                problem = f"more than {_LEVELS} levels"
                raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())
            super().fetch_flow_collection_start(TokenClass)

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                # A few lines of them can stand for more than the memory holds.
                mark = self.peek_event().start_mark
                raise yaml.constructor.ConstructorError(None, None, "aliases are not taken", mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys: set[str] = set()
            for key, _ in node.value:
                if key.tag != "tag:yaml.org,2002:str" or key.value in keys:
                    problem = f"the key {key.value!r} is there twice, or is no text"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                keys.add(key.value)
            return super().construct_mapping(node, deep)

    for tag, pattern, first in (
        ("null", r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
        ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", [*"tTfF"]),
        ("int", r"-?(?:0|[1-9][0-9]*)\Z", [*"-0123456789"]),
        ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z", [*"-0123456789"]),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    for tag in ("timestamp", "binary", "set", "omap", "pairs"):
        Loader.add_constructor(f"tag:yaml.org,2002:{tag}", Loader.construct_undefined)
    return yaml, Loader
