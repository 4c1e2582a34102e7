"""Verdicts on sessions: recorded, or by the rule in config.toml."""

from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.outcome import Outcome, Verdict, VerdictSource
from khive_persist.models.refusal import refusal
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.read import ids_beginning, is_known, only_one

_NAMED: Final = 3


async def record_outcome(
    session_id: str,
    verdict: Verdict,
    *,
    note: str | None = None,
    source: VerdictSource = "person",
    metadata: dict[str, Any] | None = None,
    dir: Path | str | None = None,
) -> Outcome:
    """Record the verdict on a session: committed, synced and copied on return.

    The plans stay as they were, and so do verdicts before it. See `OutcomeContent` for which of
    several counts.

    Args:
        session_id: The whole id of the agent's session, or of the plan's. It need not be known.
        verdict: success, partial or failure.
        note: The reason for the verdict.
        source: `rule` for a program that judges; then a person's verdict comes before it.
        metadata: Other facts to keep with it.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidRecordError: The verdict or the source is another word, or there is no session.
        ProjectError: The project cannot be made.
        StoreError: As its subclasses say; it is not saved.
    """
    outcome = outcome_of(session_id, verdict, note=note, source=source, metadata=metadata)
    async with open_store(Outcome, dir=dir) as store:
        return await store.save(outcome)


def outcome_of(
    session_id: str,
    verdict: object,
    *,
    note: object = None,
    source: VerdictSource = "person",
    metadata: dict[str, Any] | None = None,
) -> Outcome:
    """Return the record of a verdict, which is yet to be saved.

    Raises:
        InvalidRecordError: The verdict or the source is another word, or there is no session.
    """
    content: dict[str, Any] = {"session_id": session_id, "verdict": verdict, "source": source}
    content |= {"note": note} if note is not None else {}
    content |= {"metadata": metadata} if metadata is not None else {}
    if not session_id:
        raise InvalidRecordError("a verdict is on a session", hint="name its id")
    try:
        return Outcome.model_validate({"content": content})
    except ValidationError as error:
        raise refusal(error) from error


async def find_session(project: Project, prefix: str) -> str:
    """Return the one session of any record whose id is this or begins so.

    Raises:
        NotFoundError: There is none, or several.
    """
    if prefix and await is_known(project, prefix):
        return prefix
    async with reading(project, *facts.PURPOSES) as reader:
        # Also the sessions that only a plan names, as those that carried it out.
        ids = {*await facts.session_ids(reader, prefix, _NAMED + 1)}
    if prefix in ids:
        return prefix
    ids |= {*await ids_beginning(project, prefix, _NAMED + 1)}
    session_id = only_one(sorted(ids), prefix) if prefix else None
    if session_id is None:
        raise NotFoundError(f"no session has an id that begins with {prefix!r}")
    return session_id
