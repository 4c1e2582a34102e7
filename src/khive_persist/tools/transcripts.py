"""`Transcripts`: what the rest of the program needs to know of one AI tool's transcripts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from khive_persist.tools.message_part import Line
from khive_persist.tools.project import Project


class LineReader(Protocol):
    """What reads the lines of one transcript.

    Attributes:
        state: The facts that later lines need of earlier ones.
    """

    state: dict[str, Any]

    def read(self, document: Mapping[str, Any]) -> Line:
        """Return what one line says."""


class NoReader:
    """The reader of a client of which no transcript is known.

    Attributes:
        state: Nothing.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        """Return a line that says nothing."""
        return Line(str(document.get("type", "")), is_known=False)


def _none_of_session(_session_id: str, _cwd: str) -> Iterable[Path]:
    """Return no transcript, as `Transcripts.of_session` of a tool whose hooks name it."""
    return ()


class Transcripts(NamedTuple):
    """One AI tool's transcripts. What opens a file may raise OSError.

    Attributes:
        reader: The class that reads the lines, made with the state in which it was left.
        state_beside: A function that returns what lies beside a transcript, for its reader's state.
        is_line: A function that tells whether an object is a line of the tool's.
        find: A function that yields the transcripts of sessions in a project; None for those of
            all.
        of_agents: A function that yields those of a session's subagents, which the tool keeps in
            separate files.
        session_of: A function that returns a transcript's session, by its name and first lines;
            None where none says.
        of_session: A function that yields the transcripts of a session, by its name and working
            directory, of a tool whose hooks name no transcript.
    """

    reader: Callable[[dict[str, Any]], LineReader]
    state_beside: Callable[[Path], dict[str, Any]]
    is_line: Callable[[Mapping[str, Any]], bool]
    find: Callable[[Project | None], Iterator[Path]]
    of_agents: Callable[[Path], Iterable[Path]]
    session_of: Callable[[Path], object]
    of_session: Callable[[str, str], Iterable[Path]] = _none_of_session


NO_TRANSCRIPTS: Final = Transcripts(
    reader=NoReader,
    state_beside=lambda _path: {},
    is_line=lambda _document: False,
    find=lambda _project: iter(()),
    of_agents=lambda _path: (),
    session_of=lambda _path: None,
)
