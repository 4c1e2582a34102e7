"""A session as one HTML file: it loads nothing from a network and runs no script but its own."""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Final

from khive_persist.sessions.timeline.entry import Entry

_MILLISECOND: Final = 1000


def page(title: str, tools: Sequence[str], entries: Sequence[Entry]) -> str:
    """Return the page of a session that is played back in a browser.

    It shows all of the entries as text. The page's policy (CSP) lets no script run but the one that
    is known by its hash, and nothing be loaded or sent.
    """
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)};"
        " base-uri 'none'; form-action 'none'"
    )
    return Template(_part("page.html")).substitute(
        policy=html.escape(policy),
        title=html.escape(title),
        style=style,
        script=script,
        story=_data({"tools": list(tools), "entries": [_entry(entry) for entry in entries]}),
    )


def _entry(entry: Entry) -> list[object]:
    at = round(entry.at.timestamp() * _MILLISECOND)
    return [
        at, entry.kind, entry.title, entry.lines, entry.depth, entry.agent_id, entry.is_failed,
        entry.tokens, entry.cost, entry.unpriced, entry.duration_ms,
    ]  # fmt: skip


def _data(value: object) -> str:
    """Return JSON that cannot end the script element around it, nor begin a comment in it."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _part(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
