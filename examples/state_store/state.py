"""What the application keeps in memory, and in `.khive`: sessions, conversations, focus chains."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from khive_persist import Autosave, CallbackMetadata, Node, Purpose, open_store, purpose


class Session(Node):
    """One user, and when they were last here."""

    purpose: ClassVar[Purpose] = purpose("app_sessions", indexes=(("user",),))


class Conversation(Node):
    """What a user said, in order."""

    purpose: ClassVar[Purpose] = purpose("app_conversations", indexes=(("user",),))


class FocusChain(Node):
    """What a user has to do, and has done."""

    purpose: ClassVar[Purpose] = purpose("app_focus_chains", indexes=(("user",),))


KINDS = (Session, Conversation, FocusChain)
Kind = TypeVar("Kind", bound=Node)


class State:
    """The records of the application. They are plain objects; `autosave` notices what changes."""

    def __init__(self, autosave: Autosave) -> None:
        self.autosave = autosave
        self._records: dict[tuple[type[Node], str], Node] = {}

    def say(self, user: str, text: str) -> None:
        """A user says something."""
        self._of(Session, user)["last_seen"] = datetime.now(UTC).isoformat()
        self._of(Conversation, user).setdefault("messages", []).append(text)

    def focus(self, user: str, task: str) -> None:
        """A user takes a task on."""
        self._of(FocusChain, user).setdefault("tasks", {})[task] = "open"

    def done(self, user: str, task: str) -> None:
        """A user has done a task."""
        self._of(FocusChain, user).setdefault("tasks", {})[task] = "done"

    def put(self, record: Node, *, is_saved: bool) -> None:
        """Keep a record."""
        self._records[type(record), record.content["user"]] = record
        self.autosave.track(record, is_saved=is_saved)

    def document(self) -> dict[str, list[Any]]:
        """All of it as one value."""
        return {
            kind.purpose.name: [
                record.content for (own, _), record in self._records.items() if own is kind
            ]
            for kind in KINDS
        }

    def _of(self, kind: type[Kind], user: str) -> dict[str, Any]:
        """The content of this user's record, made where it is missing."""
        if (kind, user) not in self._records:
            self.put(kind(content={"user": user}), is_saved=False)
        content: dict[str, Any] = self._records[kind, user].content
        return content


@asynccontextmanager
async def open_state(directory: Path, every_seconds: float) -> AsyncIterator[State]:
    """Load the state; it is saved every so many seconds, and at the end of the `async with`."""
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(
                open_store(
                    kind, dir=directory, on_save=say_saved, on_load=say_loaded, on_error=say_failed
                )
            )
            for kind in KINDS
        ]
        autosave = Autosave(*stores, every_seconds=every_seconds, on_error=say_unsaved)
        state = State(autosave)
        for store in stores:
            async for record in store.stream():
                state.put(record, is_saved=True)
        async with autosave:
            yield state


def say_saved(told: CallbackMetadata) -> None:
    """One line for a person who watches."""
    print(f"saved {told.items} in {told.path.name}, {told.bytes} bytes", file=sys.stderr)


def say_loaded(told: CallbackMetadata) -> None:
    """The same of what was loaded."""
    print(f"loaded {told.items} of {told.path.name}, {told.bytes} bytes", file=sys.stderr)


def say_failed(error: Exception, told: CallbackMetadata) -> None:
    """The same of what could not be saved or loaded."""
    print(f"{told.timestamp:%H:%M:%S} {told.path.name}: {error}", file=sys.stderr)


def say_unsaved(error: Exception, record: Node) -> None:
    """The same of a record that waits for the next round."""
    name = f"{type(record).__name__} of {record.content['user']}"
    print(f"not saved yet: {name} ({error})", file=sys.stderr)
