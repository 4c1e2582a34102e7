"""The compiled hook: no warning, nothing that an analyser or the sanitizers find."""

import shutil
import subprocess
from pathlib import Path

import pytest

from khive_persist.capture import spool_writer
from native.compiler import FOLDER, LANGUAGE, SOURCES, STANDARD, WARNINGS
from tests.compiled_hook import compiled

FUZZ = FOLDER / "fuzz" / "fuzz.c"
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# All but the one that wants `memcpy_s`, which no C library here has.
CHECKERS = ",".join(
    [
        "core", "deadcode", "unix", "nullability", "security.FloatLoopCounter",
        *(f"security.insecureAPI.{name}" for name in ("UncheckedReturn", "getpw", "gets", "mkstemp",
                                                      "mktemp", "rand", "strcpy", "vfork")),
    ]
)  # fmt: skip
MILLION = 1_000_000


def compiler(*names: str) -> str:
    """The first of some compilers that is here."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"none of {', '.join(names)} is here")


@pytest.mark.parametrize("name", ["cc", "clang"])
def test_it_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    words = [compiler(name), *STANDARD, *WARNINGS, *map(str, SOURCES), "-o", str(tmp_path / "hook")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("source", SOURCES, ids=[source.name for source in SOURCES])
def test_the_analyser_finds_nothing(source: Path) -> None:
    words = [
        compiler("clang"), "--analyze", "-Xclang", "-analyzer-werror", "-Xclang",
        f"-analyzer-checker={CHECKERS}", *LANGUAGE, str(source), "-o", "/dev/null",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param(30_000, id="a few"),
        pytest.param(10 * MILLION, id="ten million", marks=pytest.mark.long),
    ],
)
@pytest.mark.timeout(3600)
def test_any_input_on_any_system(inputs: int, tmp_path: Path) -> None:
    program = tmp_path / "fuzz"
    words = [compiler("clang", "cc"), *LANGUAGE, *SANITIZERS, "-pthread", str(FUZZ)]
    done = subprocess.run([*words, "-o", str(program)], capture_output=True, text=True, check=False)
    if done.returncode and "sanitize" in done.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [str(program), str(inputs), "7"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{inputs} inputs, ")


def test_its_tools_are_those_of_the_python_hook() -> None:
    done = subprocess.run([str(compiled())], capture_output=True, text=True, check=False)
    names = ", ".join(spool_writer.TOOLS)
    assert done.stderr == f"khive-hook: event not kept: --tool  is none of {names}\n"
