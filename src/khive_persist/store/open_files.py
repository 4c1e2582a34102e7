"""The files that this process has open for writing: one `GroupCommit` for all stores of a file."""

import asyncio
import os
import threading
from concurrent.futures import Future
from pathlib import Path

from khive_persist.models.purposes import Purpose
from khive_persist.store.group_commit import GroupCommit
from khive_persist.store.sqlite.mirror_progress import Mirroring

# The path, what lies there, and the name of who copies it.
_Key = tuple[str, Purpose, str]


class _Shared:
    def __init__(self, commits: GroupCommit) -> None:
        self.commits = commits
        self.users = 0


_mutex = threading.Lock()
_shared: dict[_Key, _Shared] = {}
# What a child of a fork got with it: to close a connection there could disturb the parent's.
_inherited: list[_Shared] = []


def acquire(path: Path, purpose: Purpose, mirror: Mirroring) -> GroupCommit:
    """Return what commits to a file; whoever gets it gives it back by `release`."""
    key = _key(path, purpose, mirror)
    with _mutex:
        shared = _shared.get(key)
        if shared is None:
            shared = _shared[key] = _Shared(GroupCommit(path, purpose, mirror))
        shared.users += 1
        return shared.commits


async def release(commits: GroupCommit) -> None:
    """Give it back; the last one to do so closes the file: it is whole on return."""
    closing = _given_back(commits)
    if closing is None:
        return
    completion = asyncio.wrap_future(closing)
    try:
        await asyncio.shield(completion)
    except asyncio.CancelledError:
        # It ends all the same; who is cancelled leaves once it has.
        await asyncio.wait([completion])
        raise


def _given_back(commits: GroupCommit) -> "Future[None] | None":
    with _mutex:
        for key, shared in _shared.items():
            if shared.commits is commits:
                shared.users -= 1
                if shared.users == 0:
                    del _shared[key]
                    return commits.close()
                break
    return None


def _key(path: Path, purpose: Purpose, mirror: Mirroring) -> _Key:
    # Two names of one folder are one file.
    real = os.path.join(os.path.realpath(path.parent), path.name)
    mirroring = mirror if isinstance(mirror, str) else "" if mirror is None else mirror.name
    return real, purpose, mirroring


def _begin_anew() -> None:
    global _mutex
    _mutex = threading.Lock()
    _inherited.extend(_shared.values())
    _shared.clear()


os.register_at_fork(after_in_child=_begin_anew)
