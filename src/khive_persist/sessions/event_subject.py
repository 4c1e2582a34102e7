"""The subject of an event: what it was about, in one text."""

from collections.abc import Mapping
from typing import Any

from khive_persist.capture.client_recognition import in_our_words
from khive_persist.store import codec


def subject_of(content: Mapping[str, Any]) -> str:
    """Return the error of an event, else its command, files, output, prompt or message."""
    paths, payload = content.get("file_paths"), content.get("payload")
    subject = (
        content.get("error")
        or content.get("command")
        or (", ".join(map(str, paths)) if isinstance(paths, list) else "")
        or content.get("output")
    )
    if not subject and isinstance(payload, dict):
        words = in_our_words(payload)
        subject = words.get("prompt") or words.get("message") or words.get("reason")
    if isinstance(subject, str | None):
        return subject or ""
    return codec.dump_lossy(subject)
