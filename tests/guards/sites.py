"""Every guard of the code: where it syncs, renames, locks, overwrites what is deleted, checkpoints.

They are found in the syntax of all modules, so that a new one cannot be forgotten.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

# What takes the place of a call that is taken out, by how it is spelt.
NOTHING: Final = "None"
NO_LOCK: Final = '__import__("contextlib").nullcontext()'
NO_DESCRIPTOR: Final = '__import__("os").open("/dev/null", 0)'
CALLS: Final = {
    **dict.fromkeys(
        (
            "os.fsync", "posix.fsync", "os.sync", "sync_directory", "sync_file", "sync_together",
            "sync_tree",
            "os.rename", "os.replace", "posix.rename", "os.link", "fcntl.flock", "fcntl.fcntl",
        ),
        NOTHING,
    ),
    **dict.fromkeys(
        (
            "write_lock.held", "write_lock.held_alone", "file_locks.held", "turn",
            "atomic_switch.in_turn", "_turn", "_locked", "_held", "held",
        ),
        NO_LOCK,
    ),
    # Where there is none, each file is synced by itself.
    "_syncfs": "True",
    **dict.fromkeys(("write_lock.acquire", "write_lock.try_acquire"), NO_DESCRIPTOR),
}  # fmt: skip
# By what a literal holds.
TEXTS: Final = {
    "PRAGMA secure_delete = ON": "PRAGMA secure_delete = OFF",
    "PRAGMA synchronous = FULL": "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_checkpoint(TRUNCATE)": "SELECT 0, 0, 0",
}


class Site(NamedTuple):
    """A guard.

    Attributes:
        name: `module.py:function:what`, and a number where that is not the only one.
        file: The module.
        begin: Where it begins, in bytes.
        end: Where it ends.
        substitute: What stands there once it is taken out.
    """

    name: str
    file: Path
    begin: int
    end: int
    substitute: str

    def taken_out(self) -> bytes:
        """The module without it."""
        content = self.file.read_bytes()
        return content[: self.begin] + self.substitute.encode() + content[self.end :]


def sites(package: Path) -> list[Site]:
    """The guards of a package, by module and line."""
    found: list[Site] = []
    for file in sorted(package.rglob("*.py")):
        raw = file.read_bytes()
        found += _numbered(list(_in_module(file, raw, str(file.relative_to(package)))))
    return found


def _in_module(file: Path, raw: bytes, module: str) -> Iterator[Site]:
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def site(node: ast.expr, function: str, what: str, substitute: str) -> Site:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        return Site(f"{module}:{function}:{what}", file, begin, end, substitute)

    # Of the same names some are plain functions elsewhere.
    tree = ast.parse(raw)
    entered = {id(item.context_expr) for node in ast.walk(tree) if isinstance(node, ast.With)
               for item in node.items}  # fmt: skip
    entered |= {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "enter_context"
    }

    def visit(node: ast.AST, function: str) -> Iterator[Site]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}" if function else node.name
        if isinstance(node, ast.Call):
            what = ast.unparse(node.func)
            if what in CALLS and (CALLS[what] != NO_LOCK or id(node) in entered):
                yield site(node, function, what, CALLS[what])
        if isinstance(node, ast.Constant) and node.value in TEXTS:
            what = str(node.value).removeprefix("PRAGMA ")
            yield site(node, function, what, repr(TEXTS[node.value]))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(tree, "")


def _numbered(found: list[Site]) -> list[Site]:
    counts: dict[str, int] = {}
    numbered = []
    for site in found:
        counts[site.name] = counts.get(site.name, 0) + 1
        number = counts[site.name]
        numbered.append(site._replace(name=f"{site.name} {number}" if number > 1 else site.name))
    return numbered
