"""`ApplicationSessionStore`: sessions of applications, each of whose updates makes a version."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from pydantic import ValidationError

from khive_persist import clock
from khive_persist.errors import (
    CompletedError,
    ConflictError,
    InvalidRecordError,
    NotFoundError,
    VersionError,
)
from khive_persist.models.application_session import ACTIVE, COMPLETED, ApplicationSession
from khive_persist.models.faults import invalid
from khive_persist.models.query import column, field
from khive_persist.store import codec
from khive_persist.store.store import Store

# What the store says of a session, and not who sends it.
_OWN: Final = frozenset({"version", "updated_at", "completed_at"})
_BEGUN: Final = frozenset({"session_id", "status", "version", "started_at", "updated_at"})
# In its metadata: a digest of the fields that it was begun with.
_BEGINNING: Final = "beginning"


class Started(NamedTuple):
    """A session, and whether it is new."""

    session: ApplicationSession
    is_new: bool


class ApplicationSessionStore(Store[ApplicationSession]):
    """The sessions of `application_sessions.db`.

    `start`, `update` and `complete` compare and write in one transaction: of many who update one
    version at once, in whichever processes, one makes the next, and the others are told so.
    """

    async def start(self, fields: Mapping[str, Any]) -> Started:
        """Begin a session, which is active: committed, synced and copied on return.

        A session that was begun with this id and these fields, whatever became of it since, or that
        has them now, is the one that was meant: who does not know whether it was heard can begin it
        again.

        Args:
            fields: Its content; `session_id` is made where it is missing.

        Raises:
            InvalidRecordError: A field is wrong, or is the store's own.
            ConflictError: The id is that of a session that was begun otherwise.
            StoreError: As its subclasses say; it is not saved.
        """
        _refuse_own(fields)
        if fields.get("status", ACTIVE) != ACTIVE:
            raise InvalidRecordError("a session begins active")
        begun = _new_session(content=dict(fields))
        content = self._redacted(begun).content
        if content["session_id"] != begun.id:
            raise InvalidRecordError("a session_id that looks like a secret cannot be kept")
        beginning = _digest(_without(content, _BEGUN))
        begun = begun.model_copy(update={"node_metadata": {_BEGINNING: beginning}})
        is_new = False

        def change(existing: ApplicationSession | None) -> ApplicationSession:
            nonlocal is_new
            if existing is None:
                is_new = True
                return begun
            digest = _digest(_without(existing.content, _BEGUN))
            is_same_time = "started_at" not in fields or _is_start(existing, content["started_at"])
            is_same = beginning in (existing.node_metadata.get(_BEGINNING), digest)
            if not is_same or not is_same_time:
                raise ConflictError(
                    f"the session {begun.id!r} is there, and was begun with other fields",
                    version=_version(existing),
                )
            # Saved again: who was killed before the answer may not have copied it.
            return existing

        saved = await self.revise(begun.id, change)
        assert saved is not None
        return Started(saved, is_new)

    async def update(
        self, session_id: str, fields: Mapping[str, Any], version: int
    ) -> ApplicationSession:
        """Make the next version of a session: committed, synced and copied on return.

        Args:
            session_id: Its id.
            fields: The changes, as a JSON merge patch (RFC 7396): None takes a field away, and an
                object goes into the one that is there. `status` makes a completed one active.
            version: The version that the change was made for.

        Raises:
            NotFoundError: There is no such session.
            VersionError: It has another version by now.
            CompletedError: It is completed, and `status` does not make it active.
            InvalidRecordError: A field is wrong, or is the store's own.
            StoreError: As its subclasses say; it is not saved.
        """
        _refuse_own(fields)
        if fields.get("session_id", session_id) != session_id:
            raise InvalidRecordError("a session keeps its session_id")
        if fields.get("status", ACTIVE) != ACTIVE:
            raise InvalidRecordError(
                "update does not complete a session", hint="complete it, with its outcome"
            )

        def change(existing: ApplicationSession | None) -> ApplicationSession:
            existing = _existing_session(existing, session_id)
            _check_version(existing, version)
            dropped_names = frozenset[str]()
            if existing.content.get("status") == COMPLETED:
                if "status" not in fields:
                    _refuse_completed(existing)
                dropped_names = frozenset({"completed_at"})
            return _next_version(existing, _without(existing.content, dropped_names), fields)

        session = await self.revise(session_id, change)
        assert session is not None
        return session

    async def complete(
        self, session_id: str, fields: Mapping[str, Any], version: int | None = None
    ) -> ApplicationSession:
        """Complete a session: committed, synced and copied on return. It takes no more after that.

        One that is completed already, and has all these fields so, stays as it is.

        Args:
            session_id: Its id.
            fields: `outcome`, `summary`, or any others that change with it.
            version: The version that is meant; None for whichever it has.

        Raises:
            NotFoundError: There is no such session.
            VersionError: It has another version by now.
            CompletedError: It is completed otherwise.
            InvalidRecordError: A field is wrong, or is the store's own.
            StoreError: As its subclasses say; it is not saved.
        """
        _refuse_own(fields)
        if fields.get("session_id", session_id) != session_id:
            raise InvalidRecordError("a session keeps its session_id")
        fields = {**fields, "status": COMPLETED}

        def change(existing: ApplicationSession | None) -> ApplicationSession:
            existing = _existing_session(existing, session_id)
            completed = _next_version(
                existing, {**existing.content, "completed_at": clock.now()}, fields
            )
            if existing.content.get("status") == COMPLETED:
                content = self._redacted(completed).content
                if _without(existing.content, _OWN) != _without(content, _OWN):
                    _refuse_completed(existing)
                return existing
            if version is not None:
                _check_version(existing, version)
            return completed

        session = await self.revise(session_id, change)
        assert session is not None
        return session

    async def get_by_participant(self, participant: str) -> list[ApplicationSession]:
        """Return the sessions of one participant, oldest first."""
        return await self.find(field("participant") == participant, order_by=column("created_at"))

    async def get_by_group(
        self, group: str, scenario: str | None = None
    ) -> list[ApplicationSession]:
        """Return the sessions of one group, in all scenarios or in one, oldest first."""
        filters = [field("group") == group]
        if scenario is not None:
            filters.append(field("scenario") == scenario)
        return await self.find(*filters, order_by=column("created_at"))

    def _redacted(self, session: ApplicationSession) -> ApplicationSession:
        """Return a session as its row will say it."""
        return codec.from_row(self.record, self._row(session))  # type: ignore[no-any-return]


def _new_session(**fields: Any) -> ApplicationSession:
    try:
        return ApplicationSession(**fields)
    except ValidationError as error:
        raise invalid(error) from error


def _next_version(
    session: ApplicationSession, content: Mapping[str, Any], fields: Mapping[str, Any]
) -> ApplicationSession:
    updated = _merged(content, fields)
    updated |= {"version": _version(session) + 1, "updated_at": clock.now()}
    return _new_session(
        id=session.id,
        content=updated,
        node_metadata=session.node_metadata,
        created_at=session.created_at,
        embedding=session.embedding,
    )


def _merged(target: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Apply a JSON merge patch: https://www.rfc-editor.org/rfc/rfc7396#section-2"""
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = _merged(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def _without(content: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def _digest(content: Mapping[str, Any]) -> str:
    """Tells contents apart, in whichever order their fields stand."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_start(session: ApplicationSession, started_at: object) -> bool:
    return clock.from_column(started_at) == session.created_at


def _existing_session(session: ApplicationSession | None, id: str) -> ApplicationSession:
    if session is None:
        raise NotFoundError(f"no session has the id {id!r}")
    if not isinstance(session.content, dict):
        raise InvalidRecordError(f"the session {id!r} has no fields")
    return session


def _version(session: ApplicationSession) -> int:
    """Return a session's version; 0 for one that was written past the store without any."""
    version = session.content.get("version")
    return version if isinstance(version, int) else 0


def _check_version(session: ApplicationSession, expected: int) -> None:
    version = _version(session)
    if version != expected:
        raise VersionError(
            f"the session {session.id!r} has version {version}, not {expected}",
            hint="read it again, and change that",
            version=version,
        )


def _refuse_own(fields: Mapping[str, Any]) -> None:
    if reserved := sorted(_OWN & fields.keys()):
        raise InvalidRecordError(f"{reserved[0]} is not given: the store says it")


def _refuse_completed(session: ApplicationSession) -> NoReturn:
    raise CompletedError(
        f"the session {session.id!r} is completed",
        hint='update it with status "active" to go on',
        version=_version(session),
    )
