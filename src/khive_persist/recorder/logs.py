"""The server's log, on stderr: what happened, never what was sent.

No payload, no token, no path of a request is in it. Control characters are escaped, so that no line
can look like two.
"""

import json
import logging
import sys
from typing import Any, Final

from khive_persist import clock

LOGGER: Final = "khive_persist.server"


class _Lines(logging.Formatter):
    """The format of one line an event: `time level event name=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        words = [fields.pop("time"), fields.pop("level"), fields.pop("event")]
        return " ".join([*words, *(f"{name}={_value(fields[name])}" for name in fields)])


class _JsonLines(logging.Formatter):
    """The format of one JSON document a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record))


def set_up(*, as_json: bool) -> None:
    """Send the log of this server, and what uvicorn warns of, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    for name, level in ((LOGGER, logging.INFO), ("uvicorn.error", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "time": clock.to_text(clock.from_ns(int(record.created * 1e9))),
        "level": record.levelname.lower(),
        # A name of ours; uvicorn's are sentences with nothing of a request in them.
        "event": record.msg if record.name == LOGGER else "uvicorn",
    }
    if record.name != LOGGER:
        fields["message"] = record.getMessage().strip()
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
    return fields | getattr(record, "fields", {})


def _value(value: Any) -> str:
    text = str(value)
    plain = text.isprintable() and text.isascii() and " " not in text and '"' not in text
    return text if plain and text else json.dumps(text)
