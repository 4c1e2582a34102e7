"""Counts, sums and the like over the records of a table, computed in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.models.query import Compare, Field, Filter, Order
from khive_persist.store.source import Source, Statement, select

Function = Literal["count", "avg", "sum", "min", "max"]
Grouping = Field | Sequence[Field]

# Beyond it a float no longer tells whole numbers apart.
_EXACT: Final = 2**53


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """A number over many records: `Aggregate.avg(field("confidence"))`.

    Attributes:
        function: Its name.
        field: Over which field; None counts records.
    """

    function: Function
    field: Field | None = None

    @classmethod
    def count(cls, field: Field | None = None) -> "Aggregate":
        """Count records, or those that have a field which is not null."""
        return cls("count", field)

    @classmethod
    def avg(cls, field: Field) -> "Aggregate":
        """Return the mean of the numbers in a field, as a float; None where there is none."""
        return cls("avg", field)

    @classmethod
    def sum(cls, field: Field) -> "Aggregate":
        """Return the sum of the numbers in a field; 0 where there is none.

        It is an int where all of them are, up to 2**53.
        """
        return cls("sum", field)

    @classmethod
    def min(cls, field: Field) -> "Aggregate":
        """Return the least value of a field, a number before any text; None where there is none."""
        return cls("min", field)

    @classmethod
    def max(cls, field: Field) -> "Aggregate":
        """Return the greatest value of a field, text after any number; None where there is none."""
        return cls("max", field)


class Aggregation:
    """Several aggregates over groups of records: the SQL, and what its rows say."""

    def __init__(
        self,
        aggregates: Mapping[str, Aggregate],
        group_by: Grouping = (),
        filters: Iterable[Filter] = (),
    ) -> None:
        """Prepare them.

        Raises:
            InvalidQueryError: There is none, one is of another type, or two columns of the result
                would have one name.
        """
        self._aggregates = dict(aggregates)
        self._groups = [group_by] if isinstance(group_by, Field) else list(group_by)
        self._filters = tuple(filters)
        self._check()

    def statement(self, source: Source) -> Statement:
        """Return the SELECT; its columns are the groups, then two for each aggregate."""
        aggregates = list(self._aggregates.values())
        if not self._groups and {one.function for one in aggregates} <= {"min", "max"}:
            return self._extremes(source)
        groups = [source.group(group) for group in self._groups]
        numbers = [self._sql(source, aggregate) for aggregate in aggregates]
        sql, values = select(source, self._filters, columns=", ".join([*groups, *numbers]))
        if groups:
            sql += source.grouping(self._groups)
        return Statement(sql, values)

    def results(self, rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Return the rows by name: each group's fields, then the aggregates."""
        return [self._result(row) for row in rows]

    def _result(self, row: Sequence[Any]) -> dict[str, Any]:
        cells = iter(row)
        groups = {_name(group): _value(group, next(cells)) for group in self._groups}
        return groups | {
            name: _answer(aggregate, next(cells), next(cells))
            for name, aggregate in self._aggregates.items()
        }

    def _sql(self, source: Source, aggregate: Aggregate) -> str:
        """Its value, and whether a sum may have a fraction."""
        if aggregate.field is None:
            return "count(*), 0"
        field = aggregate.field
        match aggregate.function:
            case "avg":
                return f"avg({source.number(field)}), 0"
            case "sum":
                return f"{source.total(source.number(field))}, max({source.is_real(field)})"
            case "count":
                return f"count({source.operand(field)}), 0"
            case "min" | "max" as function:
                return f"{source.extreme(function, field)}, 0"

    def _extremes(self, source: Source) -> Statement:
        """Select each as the first row of an order, which an index has."""
        columns: list[str] = []
        values: list[Any] = []
        for aggregate in self._aggregates.values():
            field = aggregate.field
            assert field is not None
            order = Order(field, descending=aggregate.function == "max")
            filters = [*self._filters, Compare(field, "!=", None)]
            first = select(source, filters, order, limit=1, columns=source.shown(field))
            columns.append(f"({first.sql}), 0")
            values += first.values
        return Statement(f"SELECT {', '.join(columns)}", values)

    def _check(self) -> None:
        if not self._aggregates:
            raise InvalidQueryError("no aggregate is named", hint="as in number=Aggregate.count()")
        for aggregate in self._aggregates.values():
            is_whole = isinstance(aggregate, Aggregate) and (
                isinstance(aggregate.field, Field)
                or (aggregate.field is None and aggregate.function == "count")
            )
            if not is_whole or aggregate.function not in ("count", "avg", "sum", "min", "max"):
                raise InvalidQueryError(
                    f"{aggregate!r} is no aggregate", hint="as in Aggregate.avg(field('cost'))"
                )
        if not all(isinstance(group, Field) for group in self._groups):
            raise InvalidQueryError(
                f"{self._groups!r} are no fields", hint="as in group_by=field('complexity')"
            )
        names = [*map(_name, self._groups), *self._aggregates]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidQueryError(f"two columns of the result are named {twice!r}")


def _name(group: Field) -> str:
    # As `field(...)` was given it: only a path has quotes around an odd key.
    return group.column or group.path.removeprefix("$.").replace('"', "")


def _value(field: Field | None, value: Any) -> Any:
    return clock.from_column(value) if field is not None and field.column == "created_at" else value


def _answer(aggregate: Aggregate, value: Any, is_real: Any) -> Any:
    if aggregate.function == "sum":
        return int(value) if not is_real and abs(value) <= _EXACT else value
    if aggregate.function in ("min", "max"):
        return _value(aggregate.field, value)
    return value
