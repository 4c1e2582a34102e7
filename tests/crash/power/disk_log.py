"""Records what a process does to a folder: every write, name and sync, by `strace`."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

NAMES: Final = (
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat",
)  # fmt: skip
CALLS: Final = (
    "openat", "open", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "lseek",
    "ftruncate", "truncate", "fallocate", "sendfile", "copy_file_range",
    "fsync", "fdatasync", "syncfs", "sync", *NAMES,
)  # fmt: skip
_LINE: Final = re.compile(r"(\d+) +(.*)")
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL: Final = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)(.*)")
_FILE: Final = re.compile(r"(-?\d+|AT_FDCWD)(?:<([^>]*)>)?(\(deleted\))?$")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_EXIT: Final = re.compile(r"\+\+\+ exited with (\d+) \+\+\+")
_UNFINISHED: Final = " <unfinished ...>"


class Step(NamedTuple):
    """One thing that was done.

    Attributes:
        call: The system call; "exit" where a process ended, "said" where it wrote to its stdout.
        paths: The files that it names, as absolute paths, or as that of the open file.
        content: The bytes that were written, or a link's text.
        number: What the call returned, an exit's code, or the size that a file was cut to.
        offset: Where the bytes go; None for the file's own position.
        flags: The words of an `open`.
        file: The number of the open file.
        process: Whose it is.
    """

    call: str
    paths: tuple[str, ...] = ()
    content: bytes = b""
    number: int = 0
    offset: int | None = None
    flags: frozenset[str] = frozenset()
    file: int = -1
    process: int = 0


@cache
def missing() -> str:
    """Why nothing can be recorded here; an empty string where it can."""
    if shutil.which("strace") is None:
        return "no strace: apt-get install strace"
    done = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True)
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.decode()}"


def record(root: Path, words: Sequence[str], stdin: bytes = b"") -> list[Step]:
    """Run a program, and all that it starts, to its end: what it did below a folder.

    Args:
        root: The folder, without links in its path.
        words: The program and its arguments; it has to succeed.
        stdin: What it reads.
    """
    log = root.with_name(root.name + ".strace")
    command = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", str(64 << 20), "-o", str(log)]
    done = subprocess.run(
        [*command, "-e", "trace=" + ",".join(CALLS), *words],
        input=stdin, capture_output=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    with log.open() as lines:
        return list(_steps(lines, str(root)))


def _steps(lines: Iterator[str], root: str) -> Iterator[Step]:
    begun: dict[str, str] = {}
    main = 0
    for line in lines:
        found = _LINE.match(line.rstrip("\n"))
        assert found, line
        process, text = found[1], found[2]
        main = main or int(process)
        if text.endswith(_UNFINISHED):
            begun[process] = text.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(process) + resumed[1]
        if ended := _EXIT.match(text):
            if int(process) == main:
                yield Step("exit", number=int(ended[1]), process=main)
        elif call := _CALL.match(text):
            step = _step(call[1], call[2].split(", "), call[3], int(process), main)
            if step is not None and (
                step.call in ("said", "sync") or any(_is_below(path, root) for path in step.paths)
            ):
                yield step


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def _step(call: str, words: list[str], result: str, process: int, main: int) -> Step | None:
    if result == "?" or int(result) < 0:
        return None
    number = int(result)
    if call in NAMES:
        return _naming(call, words, process)
    if call in ("open", "openat", "creat"):
        path = _at(words[0], words[1]) if call == "openat" else _at("AT_FDCWD", words[0])
        flags = words[{"open": 1, "openat": 2}[call]] if call != "creat" else "O_CREAT|O_TRUNC"
        return Step(call, (path,), flags=frozenset(flags.split("|")), file=number, process=process)
    if call == "sync":
        return Step(call, process=process)
    file = _FILE.match(words[0])
    if file is None or file[3] or not file[2]:
        return None
    step = Step(call, (_unhexed(file[2]).decode(),), file=int(file[1]), process=process)
    if call in ("write", "pwrite64", "writev", "pwritev", "pwritev2"):
        content = b"".join(map(_unhexed, _TEXT.findall(", ".join(words))))[:number]
        offset = int(words[3 if call == "pwrite64" else -1]) if call[0] == "p" else None
        if step.file == 1 and process == main:
            return step._replace(call="said", content=content)
        return step._replace(call="write", content=content, offset=offset)
    if call == "ftruncate":
        return step._replace(number=int(words[1]))
    return step._replace(number=number)


def _naming(call: str, words: list[str], process: int) -> Step:
    if call.startswith("symlink"):
        directory = words[1] if call == "symlinkat" else "AT_FDCWD"
        return Step("symlink", (_at(directory, words[-1]),), _text(words[0]), process=process)
    name = call.removesuffix("2").removesuffix("at")
    if call.endswith(("at", "at2")):
        paths = [_at(words[0], words[1])]
        if name in ("rename", "link"):
            paths.append(_at(words[2], words[3]))
        if name == "unlink" and "AT_REMOVEDIR" in words[2]:
            name = "rmdir"
        if call == "renameat2":
            assert words[4] == "0", words
    else:
        paths = [_at("AT_FDCWD", word) for word in words[: 2 if name in ("rename", "link") else 1]]
    return Step(name, tuple(paths), process=process)


def _at(directory: str, word: str) -> str:
    path = _text(word).decode()
    if path.startswith("/"):
        return os.path.normpath(path)
    found = _FILE.match(directory)
    # Which folder was the working one is not in every call: none of ours may need it.
    assert found, directory
    assert found[2], path
    return os.path.normpath(os.path.join(_unhexed(found[2]).decode(), path))


def _text(word: str) -> bytes:
    found = _TEXT.match(word)
    assert found, word
    return _unhexed(found[1])


def _unhexed(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
