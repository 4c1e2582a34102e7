"""`Client`: what the matrix has to know of one program."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from clients import comparison, recorder
from clients.comparison import Events, Stored
from clients.run import Run
from clients.script import Turn

Calls = Sequence[Turn]


class Client(ABC):
    """One program.

    Attributes:
        name: The name that `khive-persist hooks install` takes.
        title: The name as its makers write it.
        package: The package of npm.
        program: The program that the package brings.
        plugin_package: The package of npm that it installs itself for plugins, at its own version.
        settings: The file of its hooks, below the directory of the first scope.
        scopes: The scopes that it has of `project` and `user`.
        event_names: The names that events are registered by, where their payloads have another
            one, or none: by that name, or a key that only they have.
        untold: What it does not tell, each one sentence.
        without_resume: Why no session is resumed, where `resume` returns None.
        ends_when_denied: Whether a call that is denied ends the run, with an exit code of its own.
        starts_once: Whether two cannot be the first at once, as both make its database.
        keeps_cut_answers: Whether it writes down the tokens of an answer whose tool was cut off.
        without_subagent: Why no subagent is asked for, where `subagent` returns None.
    """

    name: str
    title: str
    package: str
    program: str
    plugin_package: str = ""
    settings: str = ""
    scopes: tuple[str, ...] = ("project", "user")
    event_names: Mapping[str, str] = MappingProxyType({})
    untold: tuple[str, ...] = ()
    without_resume: str = ""
    ends_when_denied: bool = False
    starts_once: bool = False
    keeps_cut_answers: bool = True
    without_subagent: str = "it has no subagent"

    @abstractmethod
    def configure(self, run: Run) -> None:
        """Make the settings in the run's home that lead it to the model, and trust the project."""

    @abstractmethod
    def prompt(self, run: Run, text: str) -> list[str]:
        """Return the arguments for one prompt, with every tool allowed and no terminal."""

    @abstractmethod
    def resume(self, run: Run, text: str) -> list[str] | None:
        """Return the arguments for one more prompt in the latest session; None without a way."""

    @abstractmethod
    def command(self, line: str) -> Turn:
        """Return the call that runs a line in the shell."""

    @abstractmethod
    def edit(self, run: Run, path: Path, before: str, after: str) -> Calls:
        """Return the calls that replace a file's whole text."""

    def subagent(self, run: Run, prompt: str) -> Calls | None:
        """Return the calls that let a subagent work at a prompt; None where none can."""
        return None

    def deny(self, run: Run, word: str) -> bool:
        """Forbid shell commands that begin with a word; return False where that has no setting."""
        return False

    def install_hooks(self, run: Run, scope: str = "") -> None:
        """Install our hooks in a scope; an empty string for the first of `scopes`."""
        run.khive("hooks", "install", self.name, "--scope", scope or self.scopes[0])

    def record(self, run: Run) -> None:
        """Put the second recorder beside our hooks."""
        folder = run.project if self.scopes[0] == "project" else run.home
        path, command = folder / self.settings, str(recorder.script(run.folder))
        if path.suffix == ".toml":
            recorder.add_to_toml(path, command)
        else:
            recorder.add_to_json(path, command)

    def compare(self, run: Run, stored: Sequence[Stored]) -> Events:
        """Compare what the second recorder was given with what is stored."""
        return comparison.compare(recorder.sent(run.sent), stored, self.name)
