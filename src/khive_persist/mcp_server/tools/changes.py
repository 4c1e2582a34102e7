"""`what_changed`: who touched a file, when, by which call, and why."""

from typing import Annotated

from pydantic import Field

from khive_persist.mcp_server.answers import Answer, Item, Later
from khive_persist.mcp_server.envelope import Envelope, joined
from khive_persist.mcp_server.quoting import line
from khive_persist.mcp_server.tools.failures import checked_limit
from khive_persist.project import Project
from khive_persist.sessions.file_history import FileTouch, search_file


class ChangeItem(Item):
    """A call that touched the file: the text has the call, the diff, and the prompt before it."""

    change: Annotated[str, Field(description="edit, command (its words name the file), or read.")]
    path: Annotated[str, Field(description="The path as the call spelled it.")]
    tool_name: str
    model: str
    failed: bool
    is_latest: Annotated[bool, Field(description="Whether nothing edited the file later.")]


class ChangesAnswer(Answer[ChangeItem]):
    """The calls that touched a file, the latest first."""

    names: list[str] = Field(default_factory=list, description="The names that it has had.")
    sessions: int = 0


async def what_changed(project: Project, file: str, limit: int = 20) -> ChangesAnswer:
    """Return who touched a file, as `search_file` finds it.

    Raises:
        InvalidQueryError: The path or the limit is out of range.
    """
    history = await search_file(file, limit=checked_limit(limit), project=project)
    envelope = Envelope(project, lambda count: f"what_changed(limit={min(100, count + 40)})")
    edit: FileTouch | None = None
    for rank, touch in enumerate(history.touches, 1):
        reasons = [f"{reason.kind} before it: {reason.text[:600]}" for reason in touch.reasons]
        item = ChangeItem(
            rank=rank,
            source=envelope.source(touch.purpose, touch.record_id, touch.session_id),
            role="tool",
            time=touch.at,
            client=line(touch.client),
            agent_id=line(touch.agent_id),
            change=touch.change,
            path=line(touch.path, 1_000),
            tool_name=line(touch.tool_name),
            model=line(touch.model),
            failed=touch.failed,
            is_latest=touch.is_latest,
            contradicted_by=[] if edit is None else [_later(edit)],
            **envelope.quoted(joined((touch.call, *touch.lines, *reasons)), 3_000),
        )
        if not envelope.add(item):
            break
        if edit is None and touch.change != "read" and not touch.failed:
            edit = touch
    answer = envelope.answer(ChangesAnswer, history.matched)
    answer.names = [line(name, 1_000) for name in history.names]
    answer.sessions = history.sessions
    return answer


def _later(touch: FileTouch) -> Later:
    return Later(
        kind="edited again", time=touch.at, session_id=line(touch.session_id),
        record_id=line(touch.record_id),
    )  # fmt: skip
