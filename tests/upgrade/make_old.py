"""Make `NAME.tar.gz`: a home and a project as an older version left them.

    python -m tests.upgrade.make_old COMMIT NAME

The commit is installed into an environment of its own, and its own commands make all that is
packed. Paths of this machine become the placeholders of `old_scene.py`.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.upgrade.old_scene import FOLDER, PACKAGE, PYTHON, REAL_PYTHON, SCENE, rename_marks

TOOLS = ("claude-code", "codex", "gemini-cli")
REPOSITORY = Path(__file__).parents[2]
PACKED_SESSION = "9983e12e-c296-4a84-96b1-822a08fff3bf"
TO_DO_LIST = {
    "session_id": "949752ba-dbca-4cef-aed8-56a872909535",
    "cwd": "/home/dev/src/proj",
    "hook_event_name": "PostToolUse",
    "tool_name": "TodoWrite",
    "tool_input": {
        "todos": [
            {"content": "read the report", "status": "completed", "activeForm": "reading"},
            {"content": "add a total", "status": "in_progress", "activeForm": "adding"},
        ]
    },
    "tool_response": {},
    "tool_use_id": "toolu_1",
}
SAMPLES = REPOSITORY / "tests" / "transcripts" / "samples"
TRANSCRIPTS = (
    "claude-code/-home-dev-src-proj/1567c6d5-15df-45e2-a4cc-87fca45224a3.jsonl",
    "codex/rollout-2026-11-21T01-11-18-01a1fba8-6276-7f21-94e1-7cf20a5d5103.jsonl",
    "gemini-cli/sub/session-2026-11-21T01-12-2ebde1d4.jsonl",
)
# Rows name the file that a message was read from: a path of no machine.
READ_FROM = Path("/tmp/khive-persist-transcripts")
# What is compiled names this machine; SQLite makes the index of its WAL anew.
LEFT_OUT = ("__pycache__", "-shm")


def main(commit: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder))
        python = install(commit, root)
        scene = root / "scene"
        record(python, scene)
        hook = "import os, khive_persist; print(os.path.dirname(khive_persist.__file__))"
        package = subprocess.check_output([python, "-c", hook], text=True).strip()
        paths = {
            package: PACKAGE,
            str(python.with_name("python3")): PYTHON,
            str(python): PYTHON,
            os.path.realpath(sys.executable): REAL_PYTHON,
            str(scene): SCENE,
        }
        for path in scene.rglob("*"):
            redact_paths(path, paths)
        rename_marks(scene, str(scene), SCENE)
        with tarfile.open(FOLDER / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(scene, ".", filter=plain)


def install(commit: str, root: Path) -> Path:
    """Install a commit of this repository below a folder; return its interpreter."""
    tree = root / "tree"
    tree.mkdir()
    packed = subprocess.check_output(["git", "archive", commit], cwd=REPOSITORY)
    subprocess.run(["tar", "x", "-C", tree], input=packed, check=True)
    venv.create(root / "venv", with_pip=True)
    python = root / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", tree], check=True)
    return python


def record(python: Path, scene: Path) -> None:
    """Record something of every kind by the old version's own commands and registered hooks."""
    home, project = scene / "home", scene / "project"
    home.mkdir(parents=True)
    project.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def khive(*words: str, stdin: Any = "") -> None:
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        command: list[str | Path] = [python, "-m", "khive_persist.cli", *words]
        subprocess.run(command, input=text, text=True, cwd=project, env=environment, check=True)

    READ_FROM.mkdir()
    khive("init")
    (project / ".khive" / "config.toml").write_text("[capture]\nlinger_seconds = 0.2\n")
    for scope in ("project", "user"):
        khive("hooks", "install", "--scope", scope, *TOOLS)
    samples = {tool: list(payloads(tool)) for tool in TOOLS}
    for tool in TOOLS:
        lines = [json.dumps(payload) for payload in samples[tool][3:]]
        khive("record", "hook-event", "--tool", tool, "--lines", stdin="\n".join(lines))
        run_hook(tool, samples[tool][0], project, environment)
    khive("record", "hook-event", stdin=TO_DO_LIST)
    session = samples["claude-code"][0]["session_id"]
    for task in ("add a total to the report", "write tests for the total"):
        plan = {"session_id": session, "task_description": task, "confidence": 0.8}
        khive("record", "planner-session", stdin=plan)
    khive("outcome", "set", session, "success", "--note", "all tests pass")
    khive("experiment", "create", "prompt", "control=1", "new_prompt=1")
    khive("experiment", "assign", session, "prompt")
    for transcript in TRANSCRIPTS:
        (READ_FROM / Path(transcript).name).write_bytes((SAMPLES / transcript).read_bytes())
    khive("sync", *map(str, sorted(READ_FROM.iterdir())))
    shutil.move(READ_FROM, home / "transcripts")
    spool = project / ".khive" / "spool"
    time.sleep(3)
    # Where the version packs streams, its next drainer packs these before it leaves.
    for stream in (project / ".khive" / "sessions").glob(f"hook_events_*{PACKED_SESSION[:8]}*"):
        os.utime(stream, (time.time() - 300_000,) * 2)
    (project / ".khive" / "sessions" / ".packed.lock").unlink(missing_ok=True)
    for tool in TOOLS:
        run_hook(tool, samples[tool][1], project, environment)
    time.sleep(5)
    khive("verify")
    # While the pipe is held a drainer is believed to listen, so that these events wait.
    pipe = os.open(spool / "wake", os.O_RDWR | os.O_NONBLOCK)
    for tool in TOOLS:
        run_hook(tool, samples[tool][2], project, environment)
    os.close(pipe)


def payloads(tool: str) -> Iterator[dict[str, Any]]:
    """Give payloads of the real tool: some that are small, all of the session that is packed."""
    lines = (REPOSITORY / "src/khive_persist/samples" / f"{tool}.jsonl").read_text().splitlines()
    small = [json.loads(line) for line in lines if len(line) < 2_000]
    packed = [payload for payload in small if payload["session_id"] == PACKED_SESSION]
    others = [payload for payload in small if payload["session_id"] != PACKED_SESSION]
    yield from others[:9]
    yield from packed


def run_hook(
    tool: str, payload: dict[str, Any], project: Path, environment: dict[str, str]
) -> None:
    """Run the command that is registered in the project, as the tool does."""
    file = "hooks.json" if tool == "codex" else "settings.json"
    settings = json.loads((project / f".{tool.split('-')[0]}" / file).read_text())
    command = settings["hooks"]["SessionStart"][0]["hooks"][0]["command"]
    subprocess.run(
        ["sh", "-c", command], input=json.dumps(payload).encode(), cwd=project, env=environment,
        check=True,
    )  # fmt: skip


def redact_paths(path: Path, paths: dict[str, str]) -> None:
    """Put placeholders in place of this machine's paths in a file or a link."""
    if path.is_symlink():
        target = os.readlink(path)
        path.unlink()
        path.symlink_to(paths.get(target, target))
        return
    if not path.is_file() or any(part in str(path) for part in LEFT_OUT):
        return
    old = content = path.read_bytes()
    for machine, placeholder in paths.items():
        content = content.replace(machine.encode(), placeholder.encode())
    if content != old:
        if b"\0" in content:
            raise SystemExit(f"{path} has a path of this machine")
        path.write_bytes(content)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what a machine makes anew, and who made the archive."""
    if any(part in entry.name for part in LEFT_OUT):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(*sys.argv[1:])
