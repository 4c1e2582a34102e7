"""Documents in files of any of the formats."""

from pathlib import Path
from typing import Any

from khive_persist.transfer.formats import Format, to_json, write_json


def write_document(path: Path, document: Any, format: Format = "json") -> int:
    """Write a document as `save_document` does: the bytes of the file."""
    return write_json(path, to_json(document, format), format)
