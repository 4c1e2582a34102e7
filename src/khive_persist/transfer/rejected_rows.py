"""Rejected rows of an import, kept in a file of the quarantine."""

import hashlib
import json
import os
import tempfile
from typing import IO, Any, Final

from khive_persist.project import Project, make_directory, sync_directory
from khive_persist.redaction import Redactor
from khive_persist.transfer.row_validation import SourceEntry

LISTED: Final = 20


class RejectedRows:
    """Collects rejected entries, a JSON document a line: the location, the reason, and the text.

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

    def add(self, source_entry: SourceEntry, reason: str) -> None:
        """Keep a rejected entry; secrets are removed as from what is stored."""
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append((source_entry.location, reason))
        if source_entry.raw is None:
            return
        entry = {"where": source_entry.location, "reason": reason, "raw": source_entry.raw}
        text = json.dumps(entry, default=_hex)
        if self._redactor is not None:
            text, _ = self._redactor.redact_json(text)
        line = text.encode() + b"\n"
        self._digest.update(line)
        self._open().write(line)

    def finish(self) -> str:
        """Sync and rename the file, and return its path; an empty string where there is none."""
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
        """Delete the file if it was not finished: the source still exists."""
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
