"""Compile the hook: by zig, where `ziglang` is installed, else by the system's compiler.

Zig links against musl, statically, and for other systems than this one.
"""

import importlib.util
import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent
SOURCES: Final = tuple(sorted(FOLDER.glob("*.c")))
HEADERS: Final = tuple(sorted(FOLDER.glob("*.h")))
_SPOOL_WRITER: Final = FOLDER.parent / "src/khive_persist/capture/spool_writer.py"
WARNINGS: Final = (
    "-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wstrict-prototypes",
    "-Wvla",
)  # fmt: skip
# What zig calls a system, and the tags of a wheel that runs on it.
TARGETS: Final = {
    "x86_64-linux": ("x86_64-linux-musl", "manylinux_2_17_x86_64.musllinux_1_1_x86_64"),
    "aarch64-linux": ("aarch64-linux-musl", "manylinux_2_17_aarch64.musllinux_1_1_aarch64"),
    "x86_64-macos": ("x86_64-macos.11.0", "macosx_11_0_x86_64"),
    "aarch64-macos": ("aarch64-macos.11.0", "macosx_11_0_arm64"),
}
_SYSTEMS: Final = {"Linux": "linux", "Darwin": "macos"}
_SECONDS: Final = 600.0


def _lists() -> Iterator[str]:
    """Yield the options that define the clients as the Python hook has them."""
    hook = runpy.run_path(str(_SPOOL_WRITER))
    yield "-DTOOLS=" + ",".join(f'"{tool}"' for tool in hook["TOOLS"])
    yield "-DPROJECT_VARIABLES=" + ",".join(
        f'{{"{tool}","{name.decode()}"}}' for tool, name in hook["PROJECT_VARIABLES"].items()
    )
    yield "-DCLIENTS=" + ",".join(
        f'{{"{start.decode()}","{client}"}}' for start, client in hook["CLIENTS"]
    )
    yield "-DSESSION_NAMES=" + ",".join(f'"{name}"' for name in hook["SESSION_NAMES"])


LANGUAGE: Final = ("-std=c11", "-D_GNU_SOURCE", *_lists())
STANDARD: Final = (*LANGUAGE, "-O2", "-pthread")


class Compiler(NamedTuple):
    """One way to compile.

    Attributes:
        words: The words of the command, up to its options.
        tag: The platform tag of a wheel with what it makes.
    """

    words: tuple[str, ...]
    tag: str


class CompilerError(Exception):
    """No compiler is here, or none of them could compile it: the text says which, and why."""


def own_target() -> str:
    """Return this machine as `TARGETS` has it."""
    machine = platform.machine().replace("arm64", "aarch64").replace("AMD64", "x86_64")
    return f"{machine}-{_SYSTEMS.get(platform.system(), platform.system().lower())}"


def compilers(target: str = "") -> Iterator[Compiler]:
    """Yield the ways to compile for a system, the best one first.

    Args:
        target: A key of `TARGETS`; none for this machine.
    """
    known = TARGETS.get(target or own_target())
    if known is not None and importlib.util.find_spec("ziglang") is not None:
        static = ("-static",) if "linux" in known[0] else ()
        yield Compiler((sys.executable, "-m", "ziglang", "cc", "-target", known[0], *static),
                       known[1])  # fmt: skip
    if target not in ("", own_target()):
        return
    words = tuple(shlex.split(os.environ.get("CC", "")) or ["cc"])
    if shutil.which(words[0]) is None:
        return
    tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if sys.platform == "linux":
        yield Compiler((*words, "-static"), tag)
    yield Compiler(words, tag)


def compile_hook(
    program: Path, *, version: str = "0", target: str = "", options: Sequence[str] = ()
) -> Compiler:
    """Compile the hook.

    Args:
        program: The file to make.
        version: The package's version, which stands in the program.
        target: A key of `TARGETS`; none for this machine.
        options: More words for the compiler, files of C among them.

    Returns:
        The compiler that did it.

    Raises:
        CompilerError: No compiler could.
    """
    if target and target not in TARGETS:
        raise CompilerError(f"{target} is none of {', '.join(TARGETS)}")
    reasons = []
    for compiler in compilers(target):
        words = [
            *compiler.words, *STANDARD, "-s", f'-DKHIVE_VERSION="{version}"',
            *map(str, SOURCES), *options, "-o", str(program),
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - the compiler that the person has chosen
                words, capture_output=True, text=True, errors="replace", check=False,
                timeout=_SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            reasons.append(f"{compiler.words[0]}: {error}")
            continue
        if done.returncode == 0:
            return compiler
        reasons.append(f"{shlex.join(compiler.words)}: {done.stderr.strip()[-300:]}")
    missing = "C compiler" if target in ("", own_target()) else "ziglang"
    raise CompilerError("; ".join(reasons) or f"no {missing} is here")
