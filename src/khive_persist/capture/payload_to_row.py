"""From what a tool sent to what is stored: one payload to one row."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from khive_persist import clock, tools
from khive_persist.capture import client_recognition, long_payloads, previews
from khive_persist.capture.spool import Event, split_away
from khive_persist.models.purposes import AGENT_HOOKS, HOOK_EVENTS, Purpose
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store import codec

LION_CLASS: Final = "khive_persist.records.hook_event.HookEvent"


def normalise(
    event: Event,
    raw: bytes,
    settings: Settings,
    redactor: Redactor | None,
) -> codec.Row:
    """Return the row of one event, whatever the bytes of its file are.

    They are the payload, and before it the project's path, where it lies away from that.
    """
    marks: dict[str, Any] = {"cut": True} if event.is_cut else {}
    project, raw = split_away(raw) if event.is_away else ("", raw)
    if project:
        marks["project"] = project
    reason = ""
    try:
        content, redacted = _parsed(event, raw, settings, redactor, marks)
    except Exception as error:  # Also a mistake of ours in reading it: its bytes are kept.
        reason = marks.pop("bad_bytes", None) or _reason(error)
    if reason:
        # Not where the error, and with it all that was read, is still held.
        content, redacted = _unparsed(event, raw, settings, redactor, marks | {"reason": reason})
    metadata: dict[str, Any] = {"lion_class": LION_CLASS}
    if redacted:
        metadata["redacted"] = redacted
    created_at = clock.to_text(clock.from_ns(event.arrival_ns))
    is_shared = client_recognition.may_be_shared(event.tool, event.client)
    id = client_recognition.shared_id(raw) if is_shared else ""
    return id or event.id, content, codec.dump(metadata), created_at, None


def file_of(event: Event, row: codec.Row) -> Purpose:
    """Return the file that takes an event's row: another client's where that one sent it."""
    content = row[1] or ""
    if '"registered_for"' not in content:
        return HOOK_EVENTS[event.tool]
    return HOOK_EVENTS.get(codec.load(content).get("tool"), AGENT_HOOKS)


def _parsed(
    event: Event,
    raw: bytes,
    settings: Settings,
    redactor: Redactor | None,
    marks: dict[str, Any],
) -> tuple[str, dict[str, int]]:
    """Read a payload; raise ValueError where the bytes are no JSON that SQLite can read."""
    if not raw or raw.isspace():
        raise ValueError("empty")
    is_long = len(raw) > settings.capture_max_payload_bytes
    text = _decoded(long_payloads.shorten(raw) if is_long else raw, marks)
    payload = codec.load(text)
    if "bad_bytes" in marks and not isinstance(payload, Mapping):
        raise ValueError(marks["bad_bytes"])
    if codec.depth(text) > codec.MAX_DEPTH:
        raise ValueError(f"nested deeper than {codec.MAX_DEPTH} levels")
    redacted: dict[str, int] = {}
    if redactor is not None:
        text, redacted = redactor.redact_json(text)
        if redacted:
            payload = codec.load(text)
    client = event.tool
    fields: dict[str, Any]
    if isinstance(payload, Mapping):
        client = client_recognition.client_of(event.tool, payload, event.client)
        tool = tools.TOOLS[client_recognition.words_of(client, event.tool)]
        fields = dict(tool.describe(client_recognition.in_our_words(payload)))
        if client != event.tool:
            marks = marks | {"registered_for": event.tool}
        if settings.gemini_model_events != "full":
            lean = tool.without_conversation(payload)
            if lean is not None:
                text = codec.dump_spelled(lean)
    else:
        fields = {"event_type": "unknown"}
        marks = marks | {"reason": "the payload is not an object"}
    marks = marks | previews.shorten(fields) | fields.pop("metadata", {})
    stored_payload: Any = codec.Raw(text)
    if "bad_bytes" in marks:
        stored_payload, in_bytes = _bytes_kept(raw, settings, redactor, marks)
        redacted = Counter(redacted) | Counter(in_bytes)
    elif is_long:
        stored_payload = _ends(text, text, raw, settings)
        marks = marks | {"truncated": True}
    return _dump(client, fields, marks, stored_payload), redacted


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "reading it takes too much memory"
    return str(error) or type(error).__name__


def _unparsed(
    event: Event,
    raw: bytes,
    settings: Settings,
    redactor: Redactor | None,
    marks: dict[str, Any],
) -> tuple[str, dict[str, int]]:
    stored_payload, redacted = _bytes_kept(raw, settings, redactor, marks)
    tool = event.client or event.tool
    return _dump(tool, {"event_type": "unparsed"}, marks, stored_payload), redacted


def _bytes_kept(
    raw: bytes, settings: Settings, redactor: Redactor | None, marks: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return bytes as they came, but for secrets and the limit; and how many secrets they had."""
    ends = long_payloads.ends(raw) if len(raw) > settings.capture_max_payload_bytes else None
    redacted: Counter[str] = Counter()
    parts = []
    for part in (raw,) if ends is None else ends:
        part, counts = (part, {}) if redactor is None else redactor.redact_bytes(part)
        parts.append(part)
        redacted.update(counts)
    encoding, texts = _as_texts(parts)
    if len(raw) <= settings.capture_max_payload_bytes:
        return {"encoding": encoding, "data": texts[0]}, redacted
    marks["truncated"] = True
    return {"encoding": encoding} | _ends(texts[0], texts[-1], raw, settings), redacted


def _as_texts(parts: Sequence[bytes]) -> tuple[str, list[str]]:
    """Return the name of an encoding, and bytes as texts of it."""
    try:
        return "utf-8", [part.decode() for part in parts]
    except UnicodeDecodeError:
        return "base64", [base64.b64encode(part).decode() for part in parts]


def _decoded(raw: bytes, marks: dict[str, Any]) -> str:
    encoding = json.detect_encoding(raw)
    if encoding != "utf-8":
        marks["encoding"] = encoding
    try:
        return raw.decode(encoding).strip(" \t\r\n")
    except UnicodeDecodeError as error:
        # One bad byte in what a command printed must not cost the session, the tool, the command.
        marks["bad_bytes"] = f"not {encoding}: {error.reason} at byte {error.start}"
        return raw.decode(encoding, "replace").strip(" \t\r\n")


def _ends(first: str, last: str, raw: bytes, settings: Settings) -> dict[str, Any]:
    length = min(long_payloads.KEPT_END_BYTES, settings.capture_max_payload_bytes // 4)
    return {
        "truncated": {
            "bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
            "head": first[:length],
            "tail": last[-length:],
        }
    }


def _dump(tool: str, fields: dict[str, Any], marks: dict[str, Any], payload: Any) -> str:
    content = fields | {"tool": tool}
    if marks:
        content["metadata"] = marks
    content["payload"] = payload
    try:
        return codec.dump(content)
    except ValueError:
        # Escaped lone surrogates and numbers beyond 64 bits: valid in the payload, which stands as
        # it came, but not in a field.
        return codec.dump({name: _plain(value) for name, value in content.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int | float):
        return value if codec.is_plain(value) else str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value
