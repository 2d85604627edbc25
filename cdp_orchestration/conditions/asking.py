"""Asks the warehouse: every leaf for the one row of a person that comes nearest to the audience."""

from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from cdp_orchestration.conditions.leaves import Leaf
from cdp_orchestration.conditions.readable import shown
from cdp_orchestration.conditions.tree import Condition
from cdp_orchestration.warehouse import QueryFailed, Reading


class Unexplained(Exception):
    """The SQL cannot be taken apart; the message says why, as the end of a sentence."""


@dataclass
class Asking:
    """One person, on one connection. `dialect` is of the SQL, `spoken` what the connection takes (Spark is read by DuckDB)."""

    connection: Reading
    person: str
    dialect: str
    spoken: str
    recursive: bool = False

    def literal(self) -> exp.Expr:
        return exp.Literal.string(self.person)

    def rows(self, query: exp.Query, ctes: list[exp.CTE]) -> list[tuple[Any, ...]]:
        """The rows of a query that may read the CTEs. Raises Unexplained where the engine refuses it."""
        if ctes:
            query.set("with_", exp.With(expressions=[cte.copy() for cte in ctes], recursive=self.recursive))
        try:
            return self.connection.execute(query.sql(dialect=self.spoken, comments=False)).fetchall()
        except SqlglotError as error:
            raise Unexplained(f"{self.spoken} has no words for a part of it ({error})") from None
        except QueryFailed as error:
            raise Unexplained(
                f"the warehouse refused a condition taken alone: {' '.join(str(error).split())}"
            ) from error

    def fill(self, whole: Condition, leaves: list[Leaf], source: exp.Select, ctes: list[exp.CTE]) -> int:
        """Fill the leaves of `whole` in with one row of `source` (a select without columns); how many rows there were.

        The row is one for which the whole holds, else one that fails the fewest leaves and of these the nearest.
        """
        columns: list[exp.Expr] = []

        def also(expression: exp.Expr) -> int:
            columns.append(exp.alias_(expression.copy(), f"c{len(columns)}"))
            return len(columns) - 1

        places = {}
        order: list[exp.Expr] = []
        for leaf in leaves:
            test = exp.paren(leaf.test.copy())
            case = exp.Case().when(test, exp.Literal.number(1)).when(exp.not_(test.copy()), exp.Literal.number(0))
            place = also(case)
            side = also(leaf.side) if leaf.side is not None else None
            thresholds = [also(threshold) for threshold in leaf.thresholds]
            places[id(leaf.condition)] = (place, side, thresholds, [also(column) for column in leaf.columns])
            if side is not None and leaf.more_is_nearer is not None:
                order += [
                    exp.Case().when(_column(side).is_(exp.null()), _number(1)).else_(_number(0)),
                    exp.Ordered(this=_column(side), desc=leaf.more_is_nearer),
                ]
        misses = [_zero_if(_holds(leaf.condition, places)) for leaf in leaves]
        total = misses[0]
        for miss in misses[1:]:
            total = exp.Add(this=total, expression=miss)
        asked = source.copy().select(*columns, append=False).subquery("cdp_asked")
        query = exp.select("*", exp.alias_(exp.Window(this=exp.Count(this=exp.Star())), "cdp_rows")).from_(asked)
        query = query.order_by(_zero_if(_holds(whole, places)), total, *order).limit(1)
        found = self.rows(query, ctes)
        for leaf in leaves:
            if found:
                self._fill(leaf, found[0], *places[id(leaf.condition)])
        return int(found[0][-1]) if found else 0

    def _fill(
        self, leaf: Leaf, row: tuple[Any, ...], place: int, side: int | None, thresholds: list[int], columns: list[int]
    ) -> None:
        condition = leaf.condition
        condition.holds = None if row[place] is None else bool(row[place])
        named = [f"{column.name} = {shown(row[at])}" for column, at in zip(leaf.columns, columns, strict=True)]
        if side is not None:
            condition.value = shown(row[side]) + (f" ({', '.join(named)})" if named else "")
        elif named:
            condition.value = ", ".join(named)
        condition.threshold = " and ".join(shown(row[at]) for at in thresholds) or None


def _column(place: int) -> exp.Column:
    return exp.column(f"c{place}", table="cdp_asked")


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value)


def _zero_if(test: exp.Expr) -> exp.Expr:
    return exp.Case().when(test, _number(0)).else_(_number(1))


def _holds(condition: Condition, places: dict[int, Any]) -> exp.Expr:
    if condition.kind == "leaf":
        return exp.EQ(this=_column(places[id(condition)][0]), expression=_number(1))
    parts: list[exp.Expr] = [exp.paren(_holds(part, places)) for part in condition.parts]
    if condition.kind == "not":
        return exp.not_(parts[0])
    both: exp.Expr = exp.and_(*parts) if condition.kind == "all" else exp.or_(*parts)
    return both
