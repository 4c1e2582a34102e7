"""The parameters of a query: what each may be, for who parses it and for who describes it."""

import math
import re
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from starlette.requests import Request

from khive_persist import clock
from khive_persist.models.criteria import CRITERIA
from khive_persist.models.purposes import HOOK_EVENTS, OTHER_CLIENTS
from khive_persist.server.http.errors import HTTPError

Kind = Literal["text", "word", "integer", "number", "boolean", "time"]

MAX_CHARACTERS: Final = 2_000
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 50
# Of one that may be there several times.
MAX_VALUES: Final = 50
# Each day that there is, and no other. Of the years that 4 divides, 1900 alone has no 29 February.
_DAY: Final = (
    "(?:(?:19|20)[0-9]{2}-(?:"
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)-02-29)"
)
_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,6})?)?"
_OFFSET: Final = "(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
# What a `time` may be, for who describes it, too: an age, a date, or a time in ISO form.
TIME: Final = f"[0-9]{{1,4}}[smhdw]|{_DAY}(?:[T ]{_CLOCK}{_OFFSET}?)?"
_TIME: Final = re.compile(TIME)


class Parameter(NamedTuple):
    """One parameter of a query.

    Attributes:
        name: As it stands in the URL.
        kind: `word` is one of `words`; `time` is `2h`, `3d`, or a date or time in ISO form.
        about: The description, one line.
        words: The values of a `word`.
        minimum: The smallest number.
        maximum: The largest number.
        default: The value where it is not given.
        is_many: Whether it may be there several times; its value is a tuple of all.
    """

    name: str
    kind: Kind
    about: str
    words: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None
    is_many: bool = False


LIMIT: Final = Parameter(
    "limit", "integer", "At most so many on a page; of CSV and JSON Lines, in all.",
    minimum=1, maximum=MAX_LIMIT,
)  # fmt: skip
CURSOR: Final = Parameter("cursor", "text", "Where the page begins: `next` of the page before.")
COLUMNS: Final = Parameter(
    "columns", "text", "Fields of the list, as its CSV names them, with commas between them: only"
    " these, in this order.",
)  # fmt: skip
DOWNLOAD: Final = Parameter(
    "download", "word", "The form of a file of all that is listed from the cursor on.",
    ("csv", "json", "jsonl"),
)  # fmt: skip
OF_LISTS: Final = (LIMIT, CURSOR, COLUMNS, DOWNLOAD)


def _criterion(name: str) -> Parameter:
    """Return the parameter of a filter."""
    kind, about, *_ = CRITERIA[name]
    if kind == "tool":
        return Parameter(name, "word", about, (*HOOK_EVENTS, *sorted(OTHER_CLIENTS)))
    return Parameter(name, kind, about)


SINCE: Final = _criterion("since")
UNTIL: Final = _criterion("until")
SESSION: Final = _criterion("session")
TOOL: Final = _criterion("tool")
TYPE: Final = _criterion("type")
TOOL_NAME: Final = _criterion("tool_name")
VERDICT: Final = _criterion("verdict")
COMPLEXITY: Final = _criterion("complexity")
MIN_CONFIDENCE: Final = _criterion("min_confidence")
MAX_COST: Final = _criterion("max_cost")


def parsed(request: Request, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the values of a query, each parameter's or its default.

    Raises:
        HTTPError: 400, naming the parameter, for one that is unknown, there too often, or wrong.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    values = {name: parameter.default for name, parameter in by_name.items()}
    given_names = set()
    for name, text in request.query_params.multi_items():
        if name not in by_name:
            hint = "one of " + ", ".join(by_name) if by_name else "this route has none"
            raise _wrong(name[:80], "is not a parameter here", hint)
        if by_name[name].is_many:
            values[name] = (*(values[name] or ()), _value(by_name[name], text))
            if len(values[name]) > MAX_VALUES:
                raise _wrong(name, f"is there more than {MAX_VALUES} times")
            continue
        if name in given_names:
            raise _wrong(name, "is there twice")
        given_names.add(name)
        values[name] = _value(by_name[name], text)
    return values


def _value(parameter: Parameter, text: str) -> Any:
    if len(text) > MAX_CHARACTERS:
        raise _wrong(parameter.name, f"has more than {MAX_CHARACTERS} characters")
    match parameter.kind:
        case "text":
            return text
        case "word":
            if text not in parameter.words:
                raise _wrong(
                    parameter.name, "is another word", "one of " + ", ".join(parameter.words)
                )
            return text
        case "boolean":
            if text not in ("true", "false"):
                raise _wrong(parameter.name, "is true or false")
            return text == "true"
        case "time":
            try:
                if not _TIME.fullmatch(text):
                    raise ValueError(text)
                return clock.moment(text)
            except ValueError as error:
                raise _wrong(parameter.name, "is no time", clock.MOMENTS) from error
        case "integer" | "number":
            return _number(parameter, text)


def _number(parameter: Parameter, text: str) -> int | float:
    low = -math.inf if parameter.minimum is None else parameter.minimum
    high = math.inf if parameter.maximum is None else parameter.maximum
    try:
        # Python's own words for numbers take underscores and digits of other scripts, too.
        if not text.isascii() or "_" in text or text != text.strip():
            raise ValueError(text)
        value = int(text) if parameter.kind == "integer" else float(text)
    except ValueError as error:
        kind = "whole number" if parameter.kind == "integer" else "number"
        raise _wrong(parameter.name, f"is no {kind}") from error
    if not low <= value <= high or not math.isfinite(value):
        raise _wrong(parameter.name, f"is out of range, {low:g} to {high:g}")
    return value


def _wrong(name: str, problem: str, hint: str = "") -> HTTPError:
    return HTTPError(400, "bad_parameter", f"{name} {problem}", hint=hint)
