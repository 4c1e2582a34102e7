"""A sample of a client's events for others to look at: without secrets, paths and addresses."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.redaction import Redactor
from khive_persist.store import codec

HOME: Final = "/home/user"
PROJECT: Final = f"{HOME}/project"
ADDRESS: Final = "user@example.com"

_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9]")
# A client's own version, where its payload has it.
_VERSIONS: Final = ("cursor_version", "copilotVersion", "clineVersion", "client_version", "version")


class Sample:
    """Makes lines of events.

    What is taken out: secrets, as the redactor finds them; the paths of the project and of the home
    directory, also as folders' names spell them; addresses of e-mail. What the user typed, and what
    tools were given and answered, stays.
    """

    def __init__(self, root: Path, redactor: Redactor) -> None:
        self._redactor = redactor
        self._paths = list(_spellings(root, PROJECT)) + list(_spellings(Path.home(), HOME))

    def line(self, content: Mapping[str, Any], client_version: str) -> bytes:
        """Return one event as a line of JSON.

        Args:
            content: The content of the event's record.
            client_version: The version of the client, where the payload does not say it.
        """
        payload, metadata = content.get("payload"), content.get("metadata")
        tool = content.get("tool")
        registered = metadata.get("registered_for") if isinstance(metadata, Mapping) else None
        said = payload if isinstance(payload, Mapping) else {}
        versions = (said.get(name) for name in _VERSIONS)
        document = {
            "client": tool,
            "client_version": next((v for v in versions if isinstance(v, str)), client_version),
            "argv": ["khive-hook", "--tool", registered or tool],
            "event_type": content.get("event_type"),
            "payload": payload,
        }
        text, _ = self._redactor.redact_json(codec.dump_lossy(self._clean(document)))
        return text.encode("utf-8", "replace") + b"\n"

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            for path, replacement in self._paths:
                value = path.sub(replacement, value)
            return _ADDRESS.sub(ADDRESS, value)
        if isinstance(value, Mapping):
            return {self._clean(name): self._clean(item) for name, item in value.items()}
        return [self._clean(item) for item in value] if isinstance(value, list) else value


def counted(lines: Iterable[bytes]) -> dict[str, int]:
    """Count the events of each type in lines of a sample."""
    counts: dict[str, int] = {}
    for line in lines:
        kind = str(codec.load(line).get("event_type"))
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def _spellings(directory: Path, replacement: str) -> Iterator[tuple[re.Pattern[str], str]]:
    """Yield what a directory may stand as, each with what takes its place.

    It is its path, as it is named and the physical one, and a name that a client makes of it for a
    folder, with a dash for each `/` at least. A path that goes on as another name, as `/home/me` in
    `/home/meg`, is another one.
    """
    paths = dict.fromkeys((str(directory.absolute()), os.path.realpath(directory)))
    for path in paths:
        if len(path) > 1:
            yield re.compile(re.escape(path) + r"(?![\w-])"), replacement
            # One word alone, as of `/root`, is any word.
            start = 1 if "/" in path[1:] else 0
            spelled = "".join(
                char if char.isalnum() else f"[-{re.escape(char)}]" for char in path[start:]
            )
            yield (
                re.compile(rf"(?<![A-Za-z0-9]){spelled}(?![A-Za-z0-9])"),
                _NO_WORD.sub("-", replacement[start:]),
            )
