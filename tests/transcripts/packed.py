"""Files as Codex compresses them."""

import sys
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def pack(path: Path, content: bytes) -> Path:
    path.write_bytes(zstd.compress(content))
    return path
