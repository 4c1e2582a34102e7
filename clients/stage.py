"""One client on its stage: a run, the model that it asks, and what is done with both."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clients.client import Client
from clients.mock_model import Model
from clients.run import Run, RunError, Started
from clients.script import Turn, tagged


class NotRunError(Exception):
    """A scenario that a client or a system has no way for; the text says which."""


@dataclass
class Stage:
    """One client in one run, the model that it asks, and all clients of the matrix."""

    client: Client
    run: Run
    model: Model
    all_clients: Sequence[Client]
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def prepare(self) -> None:
        """Make the project, and install our hooks and the second recorder.

        Raises:
            RunError: A step failed.
        """
        self.run.make()
        self.client.configure(self.run)
        self.client.install_hooks(self.run)
        self.client.record(self.run)

    def start(self, turns: Sequence[Turn], *, resumed: bool = False) -> Started:
        """Start the client with a prompt for which the model has these turns.

        Raises:
            NotRunError: The client cannot resume a session in this way.
        """
        name = f"main_{next(self._numbers)}"
        self.model.scripts[name] = turns
        text = tagged(name, "please do it")
        arguments = (
            self.client.resume(self.run, text) if resumed else self.client.prompt(self.run, text)
        )
        if arguments is None:
            raise NotRunError(self.client.without_resume)
        return self.run.start(arguments, name)

    def done(self, started: Started) -> None:
        """Wait for a client's good end, after all turns of its script.

        Raises:
            RunError: Its exit code is not 0, or it did not ask for all turns.
        """
        code = started.end()
        if code:
            raise RunError(f"exit code {code}: {started.last_words()}")
        turns = len(self.model.scripts[started.name])
        asked = {one.step for one in self.model.told if one.script == started.name}
        if len(asked) < turns:
            raise RunError(f"it asked for {len(asked)} of {turns} turns: {started.last_words()}")

    def complete(self, turns: Sequence[Turn], *, resumed: bool = False) -> None:
        """Start the client, and wait for its good end."""
        self.done(self.start(turns, resumed=resumed))

    def path(self, name: str) -> Path:
        """Return the path of a file in the project."""
        return self.run.project / name


def expect(condition: bool, otherwise: str) -> None:
    """Raise a RunError with this text unless something is so."""
    if not condition:
        raise RunError(otherwise)
