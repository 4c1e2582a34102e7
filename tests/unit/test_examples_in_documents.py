"""Every program in the documents runs, says what its comments say, and has strict types."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api as mypy

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def programs(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL)


GUIDE = programs(ROOT / "docs" / "python.md")


def expected(program: str) -> list[str]:
    """The comments of its prints, up to where they are cut short."""
    found = re.findall(r"print\(.*\)  # (.*)", program)
    return [text.partition("…")[0].rstrip(", ") for text in found]


@pytest.mark.parametrize("number", range(len(GUIDE)))
def test_a_program_of_the_guide_prints_what_its_comments_say(number: int, tmp_path: Path) -> None:
    (tmp_path / ".khive").mkdir()
    command = [sys.executable, "-W", "error", "-c", GUIDE[number]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = iter(done.stdout.splitlines())
    for text in expected(GUIDE[number]):
        assert any(line.startswith(text) for line in lines), (text, done.stdout)


def test_the_programs_pass_mypy_strict(tmp_path: Path) -> None:
    files = []
    for document in DOCUMENTS:
        for number, program in enumerate(programs(document)):
            path = tmp_path / f"{document.stem.lower()}_{number}.py"
            path.write_text(program, "utf-8")
            files.append(str(path))
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    out, _, code = mypy.run(["--strict", *config, *cache, *files])
    assert code == 0, out
