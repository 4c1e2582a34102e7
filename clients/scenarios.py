"""What each client is asked to do, and what has to be so afterwards."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from clients.run import RunError
from clients.script import DONE, tagged
from clients.stage import NotRunError, Stage, expect

_ODD_NAME: Final = "my project 🚀 ü"
_KEPT_OUT: Final = frozenset({".git", ".khive"})
_DISK_BYTES: Final = "size=256k"
# What a person may have written into settings before; each client's own are there, too.
_NOTES: Final = "Notes, with trailing blanks:  \n\n\tend without a line feed"


class Scenario(NamedTuple):
    """One scenario.

    Attributes:
        name: Its name in the results.
        title: What the matrix calls it.
        play: What is done; it raises RunError where something is not as it has to be.
        project_name: The name of the project's folder.
        is_counted: Whether what was sent, told and stored is compared afterwards.
        is_cut: Whether the client may end between our hook and the second recorder.
        is_prepared: Whether the project is there, with hooks, when it begins.
    """

    name: str
    title: str
    play: Callable[[Stage], None]
    project_name: str = "proj"
    is_counted: bool = True
    is_cut: bool = False
    is_prepared: bool = True


def _prompt(stage: Stage) -> None:
    stage.complete(["An answer."])


def _tool(stage: Stage) -> None:
    stage.complete([stage.client.command("echo hello > works.txt; cat works.txt"), DONE])
    expect(stage.path("works.txt").exists(), "the command did not run")


def _failing_tool(stage: Stage) -> None:
    stage.complete([stage.client.command("echo oops > tried.txt; cat tried.txt; exit 3"), DONE])
    expect(stage.path("tried.txt").exists(), "the command did not run")


def _denied_tool(stage: Stage) -> None:
    if not stage.client.deny(stage.run, "touch"):
        raise NotRunError("it has no setting that denies a command")
    started = stage.start([stage.client.command("touch denied.txt"), DONE])
    if stage.client.ends_when_denied:
        started.end()
    else:
        stage.done(started)
    expect(bool(stage.model.told), "the model was not asked")
    expect(not stage.path("denied.txt").exists(), "the command ran")


def _edit(stage: Stage) -> None:
    path = stage.path("notes.txt")
    path.write_text("before\n")
    stage.complete([*stage.client.edit(stage.run, path, "before", "after"), DONE])
    expect("after" in path.read_text(), "the file is as it was")


def _subagent(stage: Stage) -> None:
    calls = stage.client.subagent(stage.run, tagged("child", "please help"))
    if calls is None:
        raise NotRunError(stage.client.without_subagent)
    command = stage.client.command("echo child > child.txt; cat child.txt")
    stage.model.scripts["child"] = [command, "The subagent is done."]
    stage.complete([*calls, DONE])
    expect(stage.path("child.txt").exists(), "the subagent ran no command")


def _resume(stage: Stage) -> None:
    stage.complete([stage.client.command("echo first > first.txt"), DONE])
    stage.complete([stage.client.command("echo second > second.txt"), DONE], resumed=True)
    expect(stage.path("second.txt").exists(), "the command of the second prompt did not run")


def _interrupt(stage: Stage) -> None:
    # OpenCode's `run` goes on until the command has ended.
    line = "touch began.txt && sleep 30"
    started = stage.start([stage.client.command(line), DONE])
    try:
        stage.run.wait_for(stage.path("began.txt").exists, started)
        started.interrupt()
        started.end()
    finally:
        started.kill()


def _two_at_once(stage: Stage) -> None:
    if stage.client.starts_once:
        stage.complete(["An answer."])
    names = ("one", "two")
    lines = [f"echo {name} > {name}.txt; cat {name}.txt" for name in names]
    both = [stage.start([stage.client.command(line), DONE]) for line in lines]
    try:
        for started in both:
            stage.done(started)
    finally:
        for started in both:
            started.kill()
    for name in names:
        expect(stage.path(f"{name}.txt").exists(), f"the command of {name} did not run")


def _all_installed(stage: Stage) -> None:
    for scope in ("project", "user"):
        others = [client for client in stage.all_clients if client.scopes[0] == scope]
        names = [client.name for client in others if client.name != stage.client.name]
        if names:
            stage.run.khive("hooks", "install", *names, "--scope", scope)
    _tool(stage)


def _interpreter_gone(stage: Stage) -> None:
    # The launcher names the interpreter in its first line.
    folder = stage.run.home / ".khive" / "bin"
    launcher = folder / "khive-hook"
    _, _, rest = launcher.read_bytes().partition(b"\n")
    launcher.write_bytes(b"#!" + os.fsencode(stage.run.folder / "no-interpreter") + b"\n" + rest)
    (folder / "python").unlink(missing_ok=True)
    _tool(stage)
    # The compiled hook needs no interpreter; who drains its spool does.
    spool = stage.run.project / ".khive" / "spool"
    expect(any(spool.glob("*.event")), "the compiled hook kept no event")
    (folder / "khive-hook-native").unlink()
    stage.path("works.txt").unlink()
    _tool(stage)


def _hook_gone(stage: Stage) -> None:
    shutil.rmtree(stage.run.home / ".khive" / "bin")
    _tool(stage)


def _spool_gone(stage: Stage) -> None:
    spool = stage.run.project / ".khive" / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.write_text("no folder\n")
    _tool(stage)


def _disk_full(stage: Stage) -> None:
    with _full_disk(stage.run.project / ".khive"):
        _tool(stage)
        # Before the disk goes, so does who may be at work on it.
        stage.run.end()


def _uninstall(stage: Stage) -> None:
    run = stage.run
    run.make()
    stage.client.configure(run)
    (run.project / "notes.txt").write_text(_NOTES)
    for scope in stage.client.scopes:
        before = _tree(run.home, run.project)
        stage.client.install_hooks(run, scope)
        expect(_tree(run.home, run.project) != before, f"nothing was installed, scope {scope}")
        run.khive("hooks", "uninstall", stage.client.name, "--scope", scope)
        after = _tree(run.home, run.project)
        names = sorted(name for name in before | after if before.get(name) != after.get(name))
        expect(not names, f"scope {scope} left a change in {', '.join(names)}")


SCENARIOS: Final = (
    Scenario("prompt", "a prompt", _prompt),
    Scenario("tool", "a tool that works", _tool),
    Scenario("failing-tool", "a tool that fails", _failing_tool),
    Scenario("denied-tool", "a tool that is denied", _denied_tool),
    Scenario("edit", "an edit", _edit),
    Scenario("subagent", "a subagent", _subagent),
    Scenario("resume", "a session that is resumed", _resume),
    Scenario("interrupt", "Ctrl-C while a tool runs", _interrupt, is_cut=True),
    Scenario("two-at-once", "two at once", _two_at_once),
    Scenario("odd-path", "a path with blanks and an emoji", _tool, project_name=_ODD_NAME),
    Scenario("all-installed", "the hooks of all clients in one project", _all_installed),
    Scenario("interpreter-gone", "our interpreter is gone", _interpreter_gone, is_counted=False),
    Scenario("hook-gone", "our hook is gone", _hook_gone, is_counted=False),
    Scenario("spool-gone", "our spool is gone", _spool_gone, is_counted=False),
    Scenario("disk-full", "the disk of `.khive` is full", _disk_full, is_counted=False),
    Scenario(
        "uninstall", "files are as before, uninstalled", _uninstall,
        is_counted=False, is_prepared=False,
    ),
)  # fmt: skip


@contextmanager
def _full_disk(folder: Path) -> Iterator[None]:
    """Put a full file system in the place of a folder, with what lies in it."""
    kept = folder.with_name(folder.name + ".kept")
    shutil.copytree(folder, kept, symlinks=True)
    mount = ["mount", "-t", "tmpfs", "-o", _DISK_BYTES, "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        raise NotRunError("only root can mount a small disk")
    try:
        for path in sorted(kept.iterdir()):
            if path.is_file() and path.suffix != ".db":
                shutil.copy2(path, folder / path.name)
        (folder / "spool").mkdir(mode=0o700)
        with (folder / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 512):
                    pass
            except OSError:
                # That was the last free byte.
                pass
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def _tree(*folders: Path) -> dict[str, str]:
    """Return mode and hash of each file below some folders, but for our state."""
    found = {}
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [name for name in names if name not in _KEPT_OUT]
            for name in files:
                path = Path(parent, name)
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(folder.parent))] = f"{path.stat().st_mode:o} {digest}"
    return found


def chosen(names: list[str]) -> tuple[Scenario, ...]:
    """Return the scenarios of these names, all where there are none.

    Raises:
        RunError: One is not known.
    """
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [name for name in names if name not in known]:
        raise RunError(f"no scenario {unknown[0]!r}; one of {', '.join(known)}")
    return tuple(known[name] for name in names) or SCENARIOS
