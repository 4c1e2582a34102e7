"""`costs`: tokens and costs, by day, project, tool, model, session or agent."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidQueryError
from khive_persist.mcp_server.answers import Answer, Item
from khive_persist.mcp_server.envelope import Envelope
from khive_persist.mcp_server.quoting import line
from khive_persist.mcp_server.tools.failures import checked_limit
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import column, field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.token_totals import token_totals

Group = Literal["day", "project", "tool", "model", "session", "agent"]


class CostItem(Item):
    """The tokens and the cost of one group; `text` is its name."""

    messages: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_usd: Annotated[
        float | None, Field(description="Of the messages with a price; null where none has.")
    ]
    unpriced_messages: Annotated[int, Field(description="Not in the cost: no price is known.")]


class CostsAnswer(Answer[CostItem]):
    """Tokens and costs, the most expensive group first, and the sum of all groups."""

    by: str = ""
    total_cost_usd: float | None = None
    total_tokens: int = 0
    total_unpriced_messages: int = 0


async def costs(
    project: Project, by: Group = "day", since: str = "30d", session: str = "", limit: int = 30
) -> CostsAnswer:
    """Return tokens and costs of the messages since a time, as `stats` counts them.

    Raises:
        InvalidQueryError: The group, the time or the limit is wrong.
    """
    if by not in get_args(Group):
        raise InvalidQueryError("by is another word", hint="one of " + ", ".join(get_args(Group)))
    try:
        filters = [column("created_at") >= clock.moment(since[:100])]
    except ValueError as error:
        raise InvalidQueryError("since is no time", hint=clock.MOMENTS) from error
    if session:
        filters.append(field("session_id") == session)
    limit = checked_limit(limit)
    prices = PriceTable(configuration.load(project.config).cost_prices)
    async with reading(project, CONVERSATIONS) as reader:
        totals = await token_totals(reader, by, prices, *filters)
    envelope = Envelope(project, lambda _count: f"costs(by={by!r}, limit=100), or a later since")
    for rank, total in enumerate(totals[:limit], 1):
        group = line(total.group, 1_000)
        is_session = by == "session" and total.group is not None
        item = CostItem(
            rank=rank,
            source=envelope.source(
                CONVERSATIONS.name, "", (total.group or "") if is_session else session
            ),
            role="sum",
            time=group if by == "day" else "",
            messages=total.messages,
            input_tokens=total.input,
            cache_read_tokens=total.cache_read,
            cache_write_tokens=total.cache_write,
            output_tokens=total.output,
            cost_usd=total.cost,
            unpriced_messages=total.unpriced,
            text=envelope.fence.quote(group),
        )
        if not envelope.add(item):
            break
    priced = [total.cost for total in totals if total.cost is not None]
    unpriced = sum(total.unpriced for total in totals)
    note = "the costs are not whole: some messages have no known price" if unpriced else ""
    answer = envelope.answer(CostsAnswer, len(totals), note)
    answer.by = by
    answer.total_cost_usd = sum(priced) if priced else None
    answer.total_tokens = sum(total.tokens for total in totals)
    answer.total_unpriced_messages = unpriced
    return answer
