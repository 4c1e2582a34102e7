"""`Client`: what the matrix has to know of one program."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

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
        settings: The file of its hooks below the project's directory.
        untold: What it does not tell, each one sentence.
    """

    name: str
    title: str
    package: str
    program: str
    settings: str = ""
    untold: tuple[str, ...] = ()

    @abstractmethod
    def configure(self, run: Run) -> None:
        """Make the settings in the run's home that lead it to the model, and trust the project."""

    @abstractmethod
    def prompt(self, text: str) -> list[str]:
        """Return the arguments for one prompt, with every tool allowed and no terminal."""

    @abstractmethod
    def resume(self, text: str) -> list[str] | None:
        """Return the arguments for one more prompt in the latest session; None without a way."""

    @abstractmethod
    def command(self, line: str) -> Turn:
        """Return the call that runs a line in the shell."""

    @abstractmethod
    def edit(self, path: Path, before: str, after: str) -> Calls:
        """Return the calls that replace a file's whole text."""

    def subagent(self, prompt: str) -> Calls | None:
        """Return the calls that let a subagent work at a prompt; None where there is none."""
        return None

    def deny(self, run: Run, word: str) -> bool:
        """Forbid shell commands that begin with a word; return False where that has no setting."""
        return False

    def install_hooks(self, run: Run, scope: str = "project") -> None:
        """Install our hooks in a scope."""
        run.khive("hooks", "install", self.name, "--scope", scope)

    def record(self, run: Run) -> None:
        """Put the second recorder beside our hooks."""
        recorder.add_to_json(run.project / self.settings, str(recorder.script(run.folder)))

    def compare(self, run: Run, stored: Sequence[Stored]) -> Events:
        """Compare what the second recorder was given with what is stored."""
        return comparison.compare(recorder.sent(run.sent), stored, self.name)
