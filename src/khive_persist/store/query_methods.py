"""Queries that do not read all of the records."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from khive_persist.models.query import Field, Filter, Order
from khive_persist.store.aggregates import Aggregate, Aggregation, Grouping
from khive_persist.store.source import Source, Statement, select

Record = TypeVar("Record")
Ordering = Field | Order | Sequence[Field | Order]


class Answers(Generic[Record]):
    """The first record, whether there is one, and aggregates; a `Store` fetches the rows."""

    find: Callable[..., Awaitable[list[Record]]]
    _fetch: Callable[[Callable[[Source], Statement]], Awaitable[list[Any]]]

    async def first(self, *filters: Filter, order_by: Ordering = ()) -> Record | None:
        """Return the first record that passes every filter, in this order, or None."""
        records = await self.find(*filters, order_by=order_by, limit=1)
        return records[0] if records else None

    async def exists(self, *filters: Filter) -> bool:
        """Return whether a record passes every filter."""
        rows = await self._fetch(lambda source: select(source, filters, limit=1, columns="1"))
        return bool(rows)

    async def aggregate(
        self, *filters: Filter, group_by: Grouping = (), **aggregates: Aggregate
    ) -> list[dict[str, Any]]:
        """Compute counts, means, sums, least and greatest values in SQL.

            await plans.aggregate(
                number=Aggregate.count(),
                confidence=Aggregate.avg(field("confidence")),
                group_by=field("complexity"),
            )   # [{"complexity": "complex", "number": 2, "confidence": 0.8}, ...]

        Means and sums take numbers only; JSON's true and false are 1 and 0.

        Args:
            filters: Conditions on the records.
            group_by: A field, or several: a dict for each of their values, in their order, with the
                value under the field's path. Records that lack it are a group, None. Without one,
                there is a single dict.
            aggregates: Each under the name that it has in the result.

        Raises:
            InvalidQueryError: A filter, field or aggregate is wrong, or two have one name.
            StoreError: As its subclasses say.
        """
        aggregation = Aggregation(aggregates, group_by, filters)
        return aggregation.results(await self._fetch(aggregation.statement))
