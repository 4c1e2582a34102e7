"""Tell whether a folder lies on a network file system, where SQLite has no WAL."""

import os
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset(
    """9p afs beegfs ceph cifs fuse.glusterfs fuse.sshfs gfs2 gpfs lustre nfs nfs4 ocfs2 smb3 smbfs
    vboxsf virtiofs""".split()  # noqa: SIM905 - as many lines as names otherwise
)


def is_network(path: Path, table: Path = _TABLE) -> bool:
    """Return whether a path lies on a network file system; False where that is not known.

    Args:
        path: The path, or the nearest folder above it that is there.
        table: The mounts, as `/proc/self/mountinfo` has them.
    """
    try:
        lines = table.read_bytes().splitlines()
    except OSError:
        return False
    real = os.path.realpath(path)
    longest, kind = "", ""
    for line in lines:
        mount, _, details = line.partition(b" - ")
        words = mount.split(b" ")
        if len(words) < 5 or not details:
            continue
        point = os.fsdecode(words[4].decode("unicode_escape").encode("latin-1"))
        is_below = real == point or real.startswith(point.rstrip("/") + "/")
        # Of two on one point the later one is on top.
        if is_below and len(point) >= len(longest):
            longest, kind = point, os.fsdecode(details.split(b" ")[0])
    return kind in _NETWORK
