"""What a session was about: the beginning of its first prompt."""

from collections.abc import Iterable
from typing import Final

from khive_persist import clock
from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS
from khive_persist.prices import PriceTable
from khive_persist.sessions.rollup.groups import Span, read_groups
from khive_persist.store.reader import Reader

_LAST_ROWID: Final = (1 << 63) - 1


async def read_titles(reader: Reader, sessions: Iterable[str]) -> dict[str, str]:
    """The beginning of the first prompt of some sessions, few at a time, as a rollup titles them.

    Args:
        reader: Of the files of events and messages.
        sessions: Their ids; one without a prompt is missing.

    Raises:
        StoreError: As its subclasses say.
    """
    found = {}
    for session in sessions:
        span = Span(0, _LAST_ROWID, session)
        for purposes in (tuple(HOOK_EVENTS.values()), (CONVERSATIONS,)):
            prompts = [
                group.prompt
                for purpose in purposes
                for group in await read_groups(reader, purpose, span, PriceTable())
                if group.prompt is not None
            ]
            if prompts:
                found[session] = min(prompts)[clock.CREATED_AT_CHARACTERS :]
                break
    return found
