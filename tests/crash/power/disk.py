"""A disk that loses its power: what is left of a folder is what was synced, and what it likes.

The contents of a file last from its sync on; a name, that it is gone too, from the sync of the
folder that it is in. On most file systems a rename is one step, in whichever of its folders it is
synced first; what was done before to the same names has then come too. Where it is two, which last
"by folder", nothing that was acknowledged may be lost, but what was going on may be half done.
Names may also go before others come, "without the removed", and the last step may last alone.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from tests.crash.power.disk_log import Step

# Of the names, of the contents: what lasts is there in any case.
Names = Literal["synced", "the last", "without the removed", "by folder", "all"]
Contents = Literal["synced", "half", "all"]
EXTREMES: Final[tuple[tuple[Names, Contents], ...]] = (
    ("synced", "synced"),
    ("the last", "synced"),
    ("without the removed", "synced"),
    ("by folder", "synced"),
    ("all", "synced"),
    ("all", "half"),
    ("synced", "all"),
    ("all", "all"),
)
SYNCS: Final = ("fsync", "fdatasync", "sync", "syncfs")
# What a process tells others: whatever it means has to be on the disk by then.
ANSWERS: Final = ("said", "exit")
# SQLite makes it anew from the WAL, and writes to it through memory.
_INDEX: Final = "-shm"


@dataclass(eq=False)
class Node:
    """A file, a folder or a link."""

    kind: Literal["file", "folder", "link", "pipe"]
    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    names: "dict[str, Node]" = field(default_factory=dict)
    lasting: "dict[str, Node]" = field(default_factory=dict)
    lasting_here: "dict[str, Node]" = field(default_factory=dict)

    def kept(self, names: Names) -> "dict[str, Node]":
        if names == "all":
            return self.names
        return self.lasting_here if names == "by folder" else self.lasting

    def bytes(self, kept: Contents) -> bytes:
        if kept == "all" or self.kind == "link":
            return bytes(self.content)
        if kept == "half" and self.content.startswith(self.synced):
            return bytes(self.content[: (len(self.synced) + len(self.content)) // 2])
        return self.synced


class Naming(NamedTuple):
    """What one call did to names: it lasts as a whole or not at all."""

    changes: tuple[tuple[Node, str, Node | None], ...]

    def touches(self, folder: Node) -> bool:
        return any(changed is folder for changed, _, _ in self.changes)

    def shares_a_name(self, other: "Naming") -> bool:
        ours = {(id(folder), name) for folder, name, _ in self.changes}
        return any((id(folder), name) in ours for folder, name, _ in other.changes)


Image = dict[str, bytes | None]


class Disk:
    """A folder as it was before, and what was done to it since."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._top = _read(root)
        self._pending: list[Naming] = []
        self._positions: dict[tuple[int, str], int] = {}
        self._appending: set[tuple[int, str]] = set()

    def do(self, step: Step) -> None:
        """Do one more step."""
        if step.call in ("sync", "syncfs"):
            for each in self._all(self._top):
                self._sync(each)
        elif step.call in SYNCS:
            node = self._node(step.paths[0])
            if node is not None:
                self._sync(node)
        elif step.call in ("open", "openat", "creat"):
            self._open(step)
        elif step.call == "write":
            self._write(step)
        elif step.call == "lseek":
            self._positions[step.file, step.paths[0]] = step.number
        elif step.call == "ftruncate":
            node = self._node(step.paths[0])
            assert node is not None, step
            _cut(node.content, step.number)
        elif step.call not in ANSWERS:
            self._name(step)

    def image(self, names: Names, contents: Contents) -> Image:
        """What a loss of power leaves: the content of files, None for folders."""
        if names != "the last" or not self._pending:
            return dict(self._walk(self._top, "", names, contents))
        before = [(folder, dict(folder.lasting)) for folder in self._all(self._top)]
        self._last(self._pending[-1:])
        image = dict(self._walk(self._top, "", names, contents))
        for folder, lasting in before:
            folder.lasting = lasting
        return image

    def _walk(
        self, folder: Node, path: str, names: Names, contents: Contents
    ) -> Iterator[tuple[str, bytes | None]]:
        removed = self._removed(folder) if names == "without the removed" else set()
        for name, node in folder.kept(names).items():
            if name in removed:
                continue
            if node.kind == "folder":
                yield f"{path}{name}", None
                yield from self._walk(node, f"{path}{name}/", names, contents)
            elif node.kind == "link":
                yield f"{path}{name}@", bytes(node.content)
            elif node.kind == "file" and not name.endswith(_INDEX):
                yield f"{path}{name}", node.bytes(contents)

    def _removed(self, folder: Node) -> set[str]:
        return {
            name
            for naming in self._pending
            for changed, name, node in naming.changes
            if changed is folder and node is None and len(naming.changes) == 1
        } - folder.names.keys()

    def _all(self, node: Node) -> Iterator[Node]:
        yield node
        for child in list(node.names.values()):
            yield from self._all(child)

    def _sync(self, node: Node) -> None:
        node.synced = bytes(node.content)
        node.lasting_here = dict(node.names)
        self._pending = self._last([naming for naming in self._pending if naming.touches(node)])

    def _last(self, synced: list[Naming]) -> list[Naming]:
        """Make some steps last, and what was done before to their names; those that are left."""
        wanted = [naming in synced for naming in self._pending]
        for index in range(len(self._pending) - 1, -1, -1):
            if wanted[index]:
                for before in range(index):
                    wanted[before] |= self._pending[index].shares_a_name(self._pending[before])
        for naming, lasts in zip(self._pending, wanted, strict=True):
            if lasts:
                for folder, name, child in naming.changes:
                    _set(folder.lasting, name, child)
        return [naming for naming, lasts in zip(self._pending, wanted, strict=True) if not lasts]

    def _open(self, step: Step) -> None:
        path = step.paths[0]
        node = self._node(path)
        if node is None:
            if "O_CREAT" not in step.flags:
                return
            node = Node("file")
            self._change((path, node))
        if "O_TRUNC" in step.flags:
            node.content.clear()
        self._positions[step.file, path] = 0
        self._appending.discard((step.file, path))
        if "O_APPEND" in step.flags:
            self._appending.add((step.file, path))

    def _write(self, step: Step) -> None:
        node = self._node(step.paths[0])
        assert node is not None, step
        if node.kind != "file":
            return
        key = step.file, step.paths[0]
        begin = step.offset
        if begin is None:
            begin = len(node.content) if key in self._appending else self._position(key)
            self._positions[key] = begin + len(step.content)
        if len(node.content) < begin:
            _cut(node.content, begin)
        node.content[begin : begin + len(step.content)] = step.content

    def _position(self, key: tuple[int, str]) -> int:
        if key in self._positions:
            return self._positions[key]
        # It was renamed while it was open.
        return max(at for (file, _), at in self._positions.items() if file == key[0])

    def _name(self, step: Step) -> None:
        first = step.paths[0]
        if step.call in ("unlink", "rmdir"):
            self._change((first, None))
        elif step.call == "mkdir":
            self._change((first, Node("folder")))
        elif step.call == "mknod":
            self._change((first, Node("pipe")))
        elif step.call == "symlink":
            self._change((first, Node("link", bytearray(step.content))))
        elif step.call == "link":
            self._change((step.paths[1], self._node(first)))
        elif step.call == "rename":
            self._change((step.paths[1], self._node(first)), (first, None))
        else:
            raise NotImplementedError(step.call)

    def _change(self, *changes: tuple[str, Node | None]) -> None:
        made = []
        for path, node in changes:
            folder, _, name = path.rpartition("/")
            parent = self._node(folder)
            if parent is None:
                # The other end of a rename lies elsewhere.
                continue
            _set(parent.names, name, node)
            made.append((parent, name, node))
        self._pending.append(Naming(tuple(made)))

    def _node(self, path: str) -> Node | None:
        if path != self._root and not path.startswith(self._root + "/"):
            return None
        node: Node | None = self._top
        for name in path[len(self._root) + 1 :].split("/"):
            if name:
                node = node.names.get(name) if node is not None else None
        return node


def images(
    root: Path, steps: Sequence[Step], *, thoroughly: bool
) -> Iterator[tuple[list[Step], Image]]:
    """Each different state that a loss of power after some of the steps can leave.

    Args:
        root: The folder as it was before.
        steps: What was done to it since.
        thoroughly: After each step. Otherwise before the next that syncs, or says what was done:
            then most can be lost.

    Yields:
        The steps that had been done, and what is left.
    """
    disk = Disk(root)
    seen = set()
    answers = 0
    for count in range(len(steps) + 1):
        if count:
            disk.do(steps[count - 1])
            answers += steps[count - 1].call in ANSWERS
        is_wanted = thoroughly or count == len(steps) or steps[count].call in (*SYNCS, *ANSWERS)
        if not is_wanted and (count == 0 or steps[count - 1].call != "rename"):
            continue
        is_answer = count > 0 and steps[count - 1].call in ANSWERS
        for names, contents in EXTREMES:
            if names == "by folder" and not is_answer:
                continue
            if names != "the last" and not is_wanted:
                continue
            image = disk.image(names, contents)
            key = hash((answers, frozenset(image.items())))
            if key not in seen:
                seen.add(key)
                yield list(steps[:count]), image


def put(root: Path, image: Image) -> None:
    """Make a folder what is left."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(mode=0o700)
    for path, content in image.items():
        if content is None:
            (root / path).mkdir(mode=0o700)
        elif path.endswith("@"):
            os.symlink(content, root / path[:-1])
        else:
            (root / path).write_bytes(content)
            (root / path).chmod(0o600)


def _read(path: Path) -> Node:
    if path.is_symlink():
        return Node("link", bytearray(os.fsencode(os.readlink(path))))
    if path.is_dir():
        node = Node("folder", names={child.name: _read(child) for child in path.iterdir()})
        node.lasting, node.lasting_here = dict(node.names), dict(node.names)
        return node
    if not path.is_file():
        return Node("pipe")
    content = path.read_bytes()
    return Node("file", bytearray(content), content)


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _cut(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))
