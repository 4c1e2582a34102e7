"""The hook as it is registered: the compiled one and the Python one, with and without a shell."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import FLOOR, loops, paired
from benchmarks.samples import payload
from benchmarks.table import Line, median_ratio, milliseconds
from khive_persist.capture.drain import Drain
from khive_persist.capture.hook_config import launcher, native_copy
from khive_persist.capture.hook_config.command import hook_command, native_arguments
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from native.compiler import CompilerError, compile_hook

SIZES: Final = (2_048, 51_200)
WRITERS: Final = 64
EACH: Final = 12
TOOL: Final = "claude-code"


class Hooks(NamedTuple):
    """The commands of an installation; without a compiler there are those of the Python hook."""

    python: list[str]
    native: list[str] | None
    without_shell: list[str] | None
    program: Path | None


@contextmanager
def installed() -> Iterator[Hooks]:
    """Install both hooks into a home of their own."""
    kept = dict(os.environ)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ |= {"HOME": home, "KHIVE_HOME": home}
        words = launcher.project_launcher()
        program = launcher_folder() / native_copy.NAME
        try:
            compiler = compile_hook(program)
        except CompilerError as error:
            print(f"no rows of the compiled hook: {error}", file=sys.stderr)
            yield Hooks(shell(hook_command(TOOL, words=words)), None, None, None)
            return
        print(f"the compiled hook: {program.stat().st_size:,} bytes, by {' '.join(compiler.words)}",
              file=sys.stderr)  # fmt: skip
        yield Hooks(
            shell(hook_command(TOOL, words=words)),
            shell(hook_command(TOOL, words=words, native=program)),
            [str(program), *native_arguments(TOOL, None, blocks=False)],
            program,
        )
        os.environ.clear()
        os.environ.update(kept)


def launcher_folder() -> Path:
    path = launcher.launcher_path()
    assert path is not None
    return path.parent


def shell(command: str) -> list[str]:
    return ["/bin/sh", "-c", command]


def measure(runs: int) -> list[Line]:
    """Every line of a hook that is registered."""
    lines = []
    with installed() as hooks, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        project = Project(Path(name) / "project")
        project.root.mkdir()
        os.environ["KHIVE_DIR"] = str(project.root)
        for size in SIZES:
            stdin = Path(name) / f"{size}.json"
            stdin.write_bytes(payload(size))
            for what, command, goal in (
                ("compiled, as registered", hooks.native, 0.30),
                ("compiled, without a shell", hooks.without_shell, 0.15),
                ("Python, as registered", hooks.python, 1.20),
            ):
                if command is None:
                    continue
                ours, floor = paired(command, FLOOR, stdin, runs)
                lines.append(
                    Line(
                        f"hook, {what}, {size // 1024} KB, durable",
                        milliseconds(ours),
                        f"bare interpreter {milliseconds(floor)}",
                        median_ratio(ours, floor),
                        goal,
                        at_most=True,
                    )
                )
        if hooks.native is not None:
            lines.append(_at_once(hooks, Path(name) / f"{SIZES[0]}.json", project))
    return lines


def _at_once(hooks: Hooks, stdin: Path, project: Project) -> Line:
    """Compare 64 loops of both hooks, as registered."""
    assert hooks.native is not None
    before = _kept(project)
    rates = [loops(command, stdin, WRITERS, EACH) for command in (hooks.native, hooks.python)]
    lost = 2 * WRITERS * EACH - (_kept(project) - before)
    return Line(
        f"{WRITERS} compiled hooks at once against Python's, {lost} of {2 * WRITERS * EACH} lost",
        f"{rates[0]:.0f}/s",
        f"{rates[1]:.0f}/s",
        rates[0] / rates[1] if not lost else 0.0,
        3,
    )


def _kept(project: Project) -> int:
    from benchmarks.processes import stored

    with Drain(project) as drain:
        drain.run()
    return stored(project) + len(Spool(project).events())


def copy_of(hooks: Hooks, folder: Path) -> Path | None:
    """Put the compiled hook where a package has it."""
    if hooks.program is None:
        return None
    return Path(shutil.copy(hooks.program, folder / "khive-hook"))
