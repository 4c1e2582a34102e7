"""What could not be imported, kept aside in a file of the quarantine."""

import hashlib
import json
import os
import tempfile
from typing import IO, Any, Final

from khive_persist.project import Project, make_directory, sync_directory
from khive_persist.redaction import Redactor
from khive_persist.transfer.row_validation import Found

LISTED: Final = 20


class Aside:
    """Collects what was refused, one JSON document a line: where it stood, why, and all of it.

    The file's name has the digest of what is in it: importing a source again changes nothing.
    """

    def __init__(self, project: Project, name: str, redactor: Redactor | None) -> None:
        self._folder = project.quarantine
        self._name = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:80]
        self._redactor = redactor
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self.count = 0
        self.listed: list[tuple[str, str]] = []

    def add(self, found: Found, reason: str) -> None:
        """Keep one more; secrets are taken out as from what is stored."""
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append((found.where, reason))
        if found.raw is None:
            return
        entry = {"where": found.where, "reason": reason, "raw": found.raw}
        text = json.dumps(entry, default=_hex)
        if self._redactor is not None:
            text, _ = self._redactor.redact_json(text)
        line = text.encode() + b"\n"
        self._digest.update(line)
        self._open().write(line)

    def finish(self) -> str:
        """Give the file its name, synced; its path, or an empty string where there is none."""
        if self._file is None:
            return ""
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())
        path = self._folder / f"import_{self._name}_{self._digest.hexdigest()[:16]}.jsonl"
        os.replace(file.name, path)
        self._file = None
        sync_directory(self._folder)
        return str(path)

    def close(self) -> None:
        """Let go of the file where it was not finished: the source is still there."""
        if self._file is not None:
            self._file.close()
            os.unlink(self._file.name)

    def _open(self) -> IO[bytes]:
        if self._file is None:
            make_directory(self._folder)
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed by finish or close
                dir=self._folder, prefix=".import_", suffix=".tmp", delete=False
            )
        return self._file


def _hex(value: Any) -> Any:
    return f"x'{value.hex()}'" if isinstance(value, bytes) else repr(value)
