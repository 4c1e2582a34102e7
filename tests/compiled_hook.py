"""The compiled hook, as the tests run it: made once, anew where its sources have changed."""

import fcntl
import hashlib
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal

import pytest

from native.compiler import FOLDER, HEADERS, SOURCES, STANDARD, CompilerError, compile_hook

HookKind = Literal["python", "native"]
KINDS: Final[tuple[HookKind, ...]] = ("python", "native")
_BUILD: Final = FOLDER.parent / "build" / "native"
# Wrappers of the system's calls are linked in by it.
_LINKER: Final = sys.platform == "linux"


@cache
def compiled(wrapped: Sequence[str] = (), source: Path | None = None, *options: str) -> Path:
    """Return a compiled hook, or skip the test where there is no compiler.

    Its drainer is that of this environment.

    Args:
        wrapped: Calls of the system that `source` has in another form, as `__wrap_NAME`.
        source: A file of C that has them.
        options: More words for the compiler.
    """
    if wrapped and not _LINKER:
        pytest.skip("this system's linker puts no other calls in place of the system's")
    words = [*(f"-Wl,--wrap={name}" for name in wrapped), *([str(source)] if source else []),
             *options]  # fmt: skip
    digest = hashlib.sha256("\0".join([*STANDARD, *words]).encode())
    for file in (*SOURCES, *HEADERS, *([source] if source else [])):
        digest.update(file.read_bytes())
    folder = _BUILD / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "khive-hook"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failure = folder / "failure"
        if not program.exists() and not failure.exists():
            temporary = folder / "khive-hook.new"
            try:
                compile_hook(temporary, options=words)
                os.replace(temporary, program)
            except CompilerError as error:
                failure.write_text(str(error))
        if not os.path.lexists(folder / "python"):
            os.symlink(sys.executable, folder / "python")
    if not program.exists():
        reason = failure.read_text()
        failure.unlink(missing_ok=True)
        pytest.skip(f"the compiled hook is not tested: {reason}")
    return program
