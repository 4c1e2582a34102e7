"""Read what a Droid session used: the settings beside its transcript sum up its tokens."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.store import codec
from khive_persist.tools.message_part import count_in, mapping_of, mappings_in, text_of

_SETTINGS: Final = ".settings.json"
_MAX_BYTES: Final = 4 << 20
_CUSTOM: Final = "custom:"
_BLANKS: Final = re.compile(r"\s+")
_CLASSES: Final = {
    "input": "inputTokens",
    "cache_read": "cacheReadTokens",
    "cache_write": "cacheCreationTokens",
    "output": "outputTokens",
}


class Usage(NamedTuple):
    """What a session used so far.

    Attributes:
        tokens: Its tokens by class, with those of the session that it goes on from.
        model: The model of its last answer, as Droid names it; an empty text where it is not known.
        at: When it was written down, as UTC text.
    """

    tokens: dict[str, int]
    model: str
    at: str


def usage_of(transcript: Path) -> Usage | None:
    """Return what the session of a transcript used; None where nothing says it.

    Raises:
        OSError: It cannot be read.
    """
    path = transcript.with_name(transcript.stem + _SETTINGS)
    if not path.is_file():
        return None
    settings = _json(path)
    counts = mapping_of(settings.get("tokenUsage"))
    if not counts:
        return None
    tokens = {name: count_in(counts, key) for name, key in _CLASSES.items()}
    # It may be an estimate; the output has them.
    tokens["reasoning"] = min(count_in(counts, "thinkingTokens"), tokens["output"])
    at = clock.to_text(clock.from_ns(path.stat().st_mtime_ns))
    return Usage(tokens, text_of(settings.get("model")) or "", at)


def without(tokens: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Return the tokens that were used since: a session that goes on from another has its sum."""
    return {name: max(0, count - before.get(name, 0)) for name, count in tokens.items()}


def custom_models(transcript: Path) -> dict[str, str]:
    """Return the provider's names of the models that the user set up, by their titles.

    Raises:
        OSError: The user's settings cannot be read.
    """
    # Sessions lie in a folder of their directory, before that in one for all.
    for folder in transcript.parents[1:3]:
        path = folder / "settings.json"
        if path.is_file():
            models = mappings_in(_json(path).get("customModels"))
            return {_title(model): str(model.get("model")) for model in reversed(models)}
    return {}


def provider_name(model: str, custom: Mapping[str, str]) -> str:
    """Return the provider's name of a model: Droid calls one that the user set up by its title."""
    if not model.startswith(_CUSTOM):
        return model
    return custom.get(model[len(_CUSTOM) :].rpartition("-")[0], model)


def _title(model: Mapping[str, Any]) -> str:
    title = text_of(model.get("displayName")) or text_of(model.get("model")) or ""
    return _BLANKS.sub("-", title.strip())


def _json(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        return mapping_of(codec.column(file.read(_MAX_BYTES)))
