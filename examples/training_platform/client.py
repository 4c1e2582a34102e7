"""A client of the session API that does not give up: what it sends is stored, and once.

Each thing that is sent has an id before the first try, so that it can be sent again without being
stored twice; where no answer came, nobody knows whether it was stored. `waited` counts the tries
that were in vain.
"""

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

SESSIONS = "/v1/application_sessions"
GIVE_UP_SECONDS = 60
PAUSE_SECONDS = 0.1


class Refused(Exception):
    """The server has understood, and says no: to send it again would not help."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__(f"{status}: {answer['error']['message']}")
        self.status = status


class Client:
    """One user's connection to the server of a project."""

    def __init__(self, directory: Path) -> None:
        self._khive = directory / ".khive"
        self._connection: http.client.HTTPConnection | None = None
        self.waited = 0

    def start(self, session_id: str, **fields: Any) -> None:
        """Begin a session; the same one begun again is no other."""
        self.ask("POST", SESSIONS, {"session_id": session_id, **fields})

    def add(self, session_id: str, kind: str, *records: dict[str, Any]) -> None:
        """Add messages, measurements or scores to a session."""
        sent = [{"id": str(uuid4()), **record} for record in records]
        answer = self.ask("POST", f"{path(session_id)}/{kind}", sent)
        wrong = [one for one in answer["results"] if one["result"] not in ("new", "same")]
        if wrong:
            raise ValueError(f"{kind} that cannot be stored: {wrong}")

    def update(self, session_id: str, **fields: Any) -> None:
        """Set fields of a session, whoever else changes it meanwhile."""
        while True:
            session = self.get(session_id)
            if all(session.get(name) == value for name, value in fields.items()):
                # Already so, as where an earlier try was stored and its answer was lost.
                return
            try:
                change = {**fields, "version": session["version"]}
                self.ask("PATCH", path(session_id), change)
            except Refused as refused:
                if refused.status != 409:
                    raise
                # Another version by now: look again.
            else:
                return

    def complete(self, session_id: str, **fields: Any) -> None:
        """Complete a session: it takes no more."""
        self.ask("POST", f"{path(session_id)}/complete", fields)

    def get(self, session_id: str) -> Any:
        """A session's fields."""
        return self.ask("GET", path(session_id))

    def check(self, session_id: str) -> Any:
        """Whether a session is there, in both copies, and how much is in it."""
        return self.ask("GET", f"{path(session_id)}/check")

    def ask(self, method: str, target: str, document: Any = None) -> Any:
        """The answer to a request, asked until it comes: for at most a minute."""
        end = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return self._try(method, target, document)
            except (OSError, http.client.HTTPException):
                # It is not there, or went away before it answered; or it has no time (503).
                self.close()
                if time.monotonic() > end:
                    raise
                self.waited += 1
                time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, method: str, target: str, document: Any) -> Any:
        if self._connection is None:
            # Looked up each time: a server that was restarted may have another port.
            url = urlsplit((self._khive / "server.url").read_text("utf-8").strip())
            self._connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=20)
        token = (self._khive / "server.token").read_text("utf-8").strip()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        body = None if document is None else json.dumps(document)
        self._connection.request(method, target, body, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status == 503:
            raise OSError(answer["error"]["message"])
        if response.status >= 400:
            raise Refused(response.status, answer)
        return answer


def path(session_id: str) -> str:
    """Where a session is."""
    return f"{SESSIONS}/{quote(session_id, safe='')}"
