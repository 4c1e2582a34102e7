"""The titles of sessions: the beginnings of their first prompts."""

from collections.abc import Iterable
from typing import Final

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.prices import PriceTable
from khive_persist.sessions.rollup.groups import Span, read_groups
from khive_persist.store.reader import Reader

_LAST_ROWID: Final = (1 << 63) - 1


async def read_titles(reader: Reader, sessions: Iterable[str]) -> dict[str, str]:
    """Return the titles of a few sessions, as a rollup has them; of those that have a prompt."""
    titles = {}
    for session in sessions:
        span = Span(0, _LAST_ROWID, session)
        for purposes in (tuple(EVENT_FILES.values()), (CONVERSATIONS,)):
            prompts = [
                group.prompt
                for purpose in purposes
                for group in await read_groups(reader, purpose, span, PriceTable())
                if group.prompt is not None
            ]
            if prompts:
                titles[session] = min(prompts)[clock.CREATED_AT_CHARACTERS :]
                break
    return titles
