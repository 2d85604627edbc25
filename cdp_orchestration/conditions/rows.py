"""From where a select takes its rows: its relations as conditions, so that a person without a row can be told so.

`from a inner join b on … ` becomes: one row for the person, left join a, left join b, where each must have found something.
That is the same set of rows, and it also has one for a person whom `a` or `b` does not know.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from cdp_orchestration.conditions.leaves import Leaf, Owner, conditions_of, own_columns
from cdp_orchestration.conditions.readable import text_of
from cdp_orchestration.conditions.tree import Condition

Key = tuple[str, str]  # relation and column, in lower case
HELD = "cdp_there_"


@dataclass
class Rows:
    """The rows as a select without columns, the conditions that they hold, and the person's column in each relation."""

    source: exp.Select
    conditions: list[Condition]
    leaves: list[Leaf]
    persons: dict[str, str]
    split: bool


def owner_of(select: exp.Select) -> Owner:
    """Which relation of the select a column belongs to; None where only the catalogue of the warehouse knows."""
    names = [relation.alias_or_name.lower() for relation in relations_of(select)]

    def owner(column: exp.Column) -> str | None:
        if column.table:
            return column.table.lower()
        return names[0] if len(names) == 1 else None

    return owner


def relations_of(select: exp.Select) -> list[exp.Expr]:
    source = select.args.get("from_")
    return [source.this, *(join.this for join in select.args.get("joins") or [])] if source else []


def rows_of(select: exp.Select, output: exp.Expr, person: exp.Expr, dialect: str) -> Rows:
    """`output` is the column of the select that names the person."""
    owner = owner_of(select)
    base = select.args["from_"].this
    alike = _alike(select, output, owner)
    persons = dict(sorted(alike))
    anchor = persons.get(base.alias_or_name.lower())
    if anchor is None or not all(_plain(join) for join in select.args.get("joins") or []) or not _named(base):
        return _as_they_are(select, output, person, dialect)
    source = exp.select().from_(exp.select(exp.alias_(exp.Literal.number(1), "cdp_one")).subquery("cdp_person"))
    conditions: list[Condition] = []
    leaves: list[Leaf] = []

    def needed(relation: exp.Expr) -> exp.Expr:
        name, mark = relation.alias_or_name, f"{HELD}{len(leaves)}"
        found = exp.column(mark, table=_identifier(relation))
        row = Condition(
            f"has a row in {_name(relation, dialect)}", row_of=name.lower(), relations=frozenset({name.lower()})
        )
        leaves.append(Leaf(row, exp.not_(found.is_(exp.null()))))
        conditions.append(row)
        marked = exp.select("*", exp.alias_(exp.Literal.number(1), mark)).from_(relation.copy())
        return marked.subquery(_identifier(relation))

    first = exp.column(anchor, table=_identifier(base)).eq(person)
    source = source.join(needed(base), on=first, join_type="left")
    for join in select.args.get("joins") or []:
        if join.side == "LEFT":
            source.append("joins", join.copy())
            continue
        relation = needed(join.this)
        keys, rest = list[exp.Expr](), list[exp.Expr]()
        for part in _conjuncts(join.args.get("on")):
            both = isinstance(part, exp.EQ) and own_columns(part.this) and own_columns(part.expression)
            (keys if both else rest).append(part.copy())
        on = None if join.args.get("using") else exp.and_(*keys) if keys else exp.true()
        source.append("joins", exp.Join(this=relation, side="LEFT", on=on, using=join.args.get("using")))
        conditions += [conditions_of(part, dialect, owner, leaves) for part in rest]
    if isinstance(output, exp.Column) and _key(output, owner) != (base.alias_or_name.lower(), anchor):
        conditions.append(conditions_of(exp.EQ(this=output.copy(), expression=person), dialect, owner, leaves))
    return Rows(source, conditions, leaves, persons, True)


def _as_they_are(select: exp.Select, output: exp.Expr, person: exp.Expr, dialect: str) -> Rows:
    """The relations as one condition: there is a row of this person in what they are joined to."""
    source = exp.select()
    source.set("from_", select.args["from_"].copy())
    source.set("joins", [join.copy() for join in select.args.get("joins") or []])
    text = text_of(select.args["from_"].this, dialect)
    text += "".join(f" {text_of(join, dialect).strip()}" for join in select.args.get("joins") or [])
    return Rows(
        source.where(exp.EQ(this=output.copy(), expression=person)), [Condition(f"has a row in {text}")], [], {}, False
    )


def _plain(join: exp.Join) -> bool:
    """A join that is the same when its condition is looked at afterwards, or a left join that stays as it is."""
    kind = join.args.get("kind") or ""
    if join.args.get("method") or join.args.get("global_"):
        return False
    if join.side == "LEFT":
        return kind in ("", "OUTER")
    return join.side == "" and kind in ("", "INNER", "CROSS") and _named(join.this)


def _named(relation: exp.Expr) -> bool:
    """A table, view, CTE or subquery that has one name and nothing else to it."""
    if not isinstance(relation, exp.Table | exp.Subquery) or not relation.alias_or_name:
        return False
    if isinstance(relation, exp.Table) and not isinstance(relation.this, exp.Identifier):
        return False
    alias = relation.args.get("alias")
    extras = any(relation.args.get(extra) for extra in ("joins", "laterals", "pivots", "sample"))
    return not extras and not (alias and alias.args.get("columns"))


def _identifier(relation: exp.Expr) -> exp.Identifier:
    alias = relation.args.get("alias")
    named = alias.this if alias else relation.this
    return named.copy()


def _name(relation: exp.Expr, dialect: str) -> str:
    if isinstance(relation, exp.Table):
        return text_of(exp.table_(relation.this.copy(), db=relation.args.get("db")), dialect)
    return relation.alias_or_name


def _conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    if condition is None:
        return
    inner = condition.unnest()
    if isinstance(inner, exp.And):
        for part in inner.flatten():
            yield from _conjuncts(part)
    else:
        yield inner


def _key(column: exp.Expr, owner: Owner) -> Key | None:
    relation = owner(column) if isinstance(column, exp.Column) else None
    return (relation, column.name.lower()) if relation else None


def _alike(select: exp.Select, output: exp.Expr, owner: Owner) -> set[Key]:
    """The columns that hold the person where the select gives the person, by the equalities it asks for."""
    names = [relation.alias_or_name.lower() for relation in relations_of(select)]
    pairs: list[set[Key]] = []
    shared: list[set[Key]] = []
    joins = select.args.get("joins") or []
    where = select.args.get("where")
    for condition in [*(join.args.get("on") for join in joins), where.this if where else None]:
        for part in _conjuncts(condition):
            if isinstance(part, exp.EQ):
                left, right = _key(part.this.unnest(), owner), _key(part.expression.unnest(), owner)
                if left and right:
                    pairs.append({left, right})
    for place, join in enumerate(joins, 1):
        for column in join.args.get("using") or []:
            shared.append({(names[0], column.name.lower()), (names[place], column.name.lower())})
    first = _key(output, owner)
    if first is None and isinstance(output, exp.Column):  # the one column of all that were joined by `using`
        first = next((key for pair in shared for key in pair if key == (names[0], output.name.lower())), None)
    found = {first} if first else set()
    while more := [pair for pair in pairs + shared if pair & found and not pair <= found]:
        found = found.union(*more)
    return found
