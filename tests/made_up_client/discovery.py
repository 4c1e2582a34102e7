"""The client's transcripts: a file a session, each line what somebody said."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist.tools.message_part import Line, MessagePart
from khive_persist.tools.transcript_files import in_folder
from khive_persist.tools.transcripts import Transcripts


class Reader:
    """Reads lines of one transcript."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        """Return what one line says."""
        fields = {"role": "user", "text": document["said"], "message_id": document["number"]}
        key = f"{self.state['session_id']} {document['number']}"
        return Line("said", (MessagePart(key, key, fields, document["at"]),))


TRANSCRIPTS: Final = Transcripts(
    reader=Reader,
    state_beside=lambda transcript: {"session_id": transcript.stem},
    is_line=lambda document: "said" in document,
    find=lambda project: (
        path
        for path in in_folder(Path.home() / ".made-up")
        if project is None or project.has_session(path)
    ),
    of_agents=lambda _transcript: (),
    session_of=lambda transcript: transcript.stem,
)
