"""Tell whether git has a file: then it may have come with a clone or a pull.

The index is read here, as a repository's own settings can make `git` run programs. Its format:
https://git-scm.com/docs/index-format
"""

import os
from pathlib import Path
from typing import Final

from khive_persist.files import read_regular

_MOST_BYTES: Final = 512 << 20
_HEADER_BYTES: Final = 12
_FIXED_BYTES: Final = 40
_EXTENDED: Final = 0x4000


def tracked(khive: Path) -> frozenset[str]:
    """Return the paths below `.khive` that the index of its repository names, relative to it."""
    for parent in khive.parents:
        git = parent / ".git"
        if os.path.lexists(git):
            prefix = f"{khive.relative_to(parent)}/".encode(errors="surrogateescape")
            paths = _paths(_index_of(git), prefix)
            return frozenset(os.fsdecode(path.removeprefix(prefix)) for path in paths)
    return frozenset()


def _index_of(git: Path) -> Path:
    # In a worktree `.git` is a file: "gitdir: PATH".
    try:
        line = read_regular(git, 65_536)
    except OSError:
        return git / "index"
    git_directory = os.fsdecode(line.partition(b"gitdir:")[2].strip())
    return Path(os.path.join(git.parent, git_directory)) / "index"


def _paths(index: Path, prefix: bytes) -> list[bytes]:
    try:
        content = read_regular(index, _MOST_BYTES)
    except OSError:
        return []
    if content[:4] != b"DIRC" or (prefix not in content and content[7:8] != b"\4"):
        return []
    # SHA-1, or SHA-256 where the repository says so; entries tell by their own lengths.
    for digest_bytes in (20, 32):
        try:
            return _entries(content, digest_bytes, prefix)
        except (ValueError, IndexError):
            continue
    return [prefix + b"?"]


def _entries(content: bytes, digest_bytes: int, prefix: bytes) -> list[bytes]:
    version = int.from_bytes(content[4:8])
    count = int.from_bytes(content[8:12])
    at, previous, paths = _HEADER_BYTES, b"", []
    for _ in range(count):
        entry_start = at
        at += _FIXED_BYTES + digest_bytes
        flags = int.from_bytes(content[at : at + 2])
        at += 2 + (2 if version >= 3 and flags & _EXTENDED else 0)
        shared_length = 0
        if version >= 4:
            at, removed = _number(content, at)
            shared_length = len(previous) - removed
            if shared_length < 0:
                raise ValueError("not of this form")
        end = content.index(b"\0", at)
        path = previous[:shared_length] + content[at:end]
        # The length is in the flags too: it tells whether the digest has this many bytes.
        if flags & 0xFFF != min(len(path), 0xFFF):
            raise ValueError("not of this form")
        at = end + 1 if version >= 4 else entry_start + (end - entry_start) // 8 * 8 + 8
        previous = path
        if path.startswith(prefix):
            paths.append(path)
    return paths


def _number(content: bytes, at: int) -> tuple[int, int]:
    byte = content[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = content[at]
        value = (value + 1) << 7 | byte & 0x7F
    return at + 1, value
