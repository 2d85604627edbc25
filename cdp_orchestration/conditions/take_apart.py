"""Takes the SQL of an audience apart: `explain` gives its conditions as a tree, filled in for one person.

The tree's verdict is the query's: it is True where the query gives the person. The last select counts, with the relations that
it joins and its where and having; a union, except or intersect is its parts; a select that only hands on another (`select *
from last_step`) is that other one. What it reads from CTEs and subqueries is shown within.
"""

from dataclasses import replace

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cdp_orchestration.conditions.asking import Asking, Unexplained
from cdp_orchestration.conditions.leaves import Leaf, conditions_of
from cdp_orchestration.conditions.rows import Rows, owner_of, relations_of, rows_of
from cdp_orchestration.conditions.tree import Condition, joined
from cdp_orchestration.warehouse import Reading

PERSON = "profile_id"
Ctes = list[exp.CTE]


def parsed(sql: str, dialect: str) -> exp.Query:
    """Raises Unexplained where the SQL is no query that can be read."""
    try:
        found = [tree for tree in sqlglot.parse(sql, read=dialect) if tree is not None]
    except SqlglotError as error:
        raise Unexplained(f"its SQL cannot be read ({str(error).splitlines()[0]})") from None
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        raise Unexplained("its SQL is not one query")
    return found[0]


def explain(connection: Reading, query: exp.Query, dialect: str, person: str, spoken: str | None = None) -> Condition:
    """The conditions of a query for one person. Raises Unexplained with the reason where they cannot be told apart."""
    asking = Asking(connection, person, dialect, spoken or dialect)
    return _query(query, asking, [], PERSON)


def _query(query: exp.Expr, asking: Asking, ctes: Ctes, column: str | int) -> Condition:
    """`column` is the person's in what the query gives: a name, or a place."""
    while isinstance(query, exp.Subquery | exp.Paren) and not query.args.get("joins"):
        query = query.this
    if not isinstance(query, exp.Query) or isinstance(query, exp.Subquery):
        raise Unexplained("it is no select, union, except or intersect")
    for clause in ("limit", "offset", "fetch", "qualify"):
        if query.args.get(clause):
            raise Unexplained(f"its `{clause}` compares people with each other")
    if query.ctes:
        own = query.args["with_"]
        asking = replace(asking, recursive=asking.recursive or bool(own.args.get("recursive")))
        if {cte.alias.lower() for cte in ctes} & {cte.alias.lower() for cte in query.ctes}:
            raise Unexplained("two of its CTEs have one name")
        ctes = [*ctes, *query.ctes]
    if isinstance(query, exp.SetOperation):
        return _parts(query, asking, ctes, column)
    if not isinstance(query, exp.Select) or not query.args.get("from_"):
        raise Unexplained("a part of it selects from nothing")
    return _select(query, asking, ctes, column)


def _parts(query: exp.SetOperation, asking: Asking, ctes: Ctes, column: str | int) -> Condition:
    first = query.left
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.left if isinstance(first, exp.SetOperation) else first.this
    names = [name.lower() for name in first.named_selects]
    if query.args.get("by_name") or (isinstance(column, str) and column not in names):
        place: str | int = column
    else:
        place = names.index(column) if isinstance(column, str) else column
    if isinstance(query, exp.Except | exp.Intersect):
        if len(names) != 1 or names == ["*"]:
            raise Unexplained("its except or intersect compares more than the person")
        if query.args.get("distinct") is False:
            raise Unexplained("its except all or intersect all counts rows")
    left, right = (_query(part, asking, ctes, place) for part in (query.left, query.right))
    if isinstance(query, exp.Except):
        return joined("all", [left, joined("not", [right])])
    return joined("all" if isinstance(query, exp.Intersect) else "any", [left, right])


def _select(select: exp.Select, asking: Asking, ctes: Ctes, column: str | int) -> Condition:
    select = select.copy()
    select.set("with_", None)
    named = {relation.alias_or_name for relation in relations_of(select)}
    for found in select.find_all(exp.Column):
        if found.args.get("db") and found.table in named:  # a relation may be named with its schema
            found.set("db", None)
            found.set("catalog", None)
    output = _output(select, column)
    if output.find(exp.AggFunc, exp.Window):
        raise Unexplained("it computes who the person is")
    distinct = select.args.get("distinct")
    if distinct and distinct.args.get("on") and distinct.args["on"].expressions != [output]:
        raise Unexplained("its `distinct on` keeps one of several people")
    inner = _within(select.args["from_"].this, ctes)
    clauses = [clause for clause in ("joins", "where", "group", "having", "laterals") if select.args.get(clause)]
    if not clauses and inner and isinstance(output, exp.Column):
        return _query(inner[0], asking, inner[1], output.name.lower())
    if select.args.get("laterals"):
        raise Unexplained("it takes rows from a lateral view")
    rows = rows_of(select, output, asking.literal(), asking.dialect)
    leaves, asked = list(rows.leaves), []
    if where := select.args.get("where"):
        asked.append(conditions_of(where.this, asking.dialect, owner_of(select), leaves))
    whole = joined("all", rows.conditions + asked)
    _ask(rows, joined("all", asked) if asked and not rows.split else whole, leaves, asking, ctes)
    for relation in relations_of(select) if rows.split else []:
        _look_within(relation, rows, asking, ctes)
    for leaf in leaves:
        _look_into_a_list(leaf, rows, output, asking, ctes)
    if having := select.args.get("having"):
        grouped = _having(select, having.this, output, asking, ctes, bool(whole.verdict))
        whole = joined("all", [whole, grouped])
    return whole


def _ask(rows: Rows, whole: Condition, leaves: list[Leaf], asking: Asking, ctes: Ctes) -> None:
    first = rows.conditions[0]
    if rows.split:
        found = asking.fill(whole, leaves, rows.source, ctes)
        if first.holds and found > 1:
            first.value = f"{found:,} rows; the nearest is shown"
        return
    if leaves:
        found = asking.fill(whole, leaves, rows.source, ctes)
    else:
        found = len(asking.rows(rows.source.copy().select("1").limit(1), ctes))
    first.holds = found > 0


def _having(
    select: exp.Select, having: exp.Expr, output: exp.Expr, asking: Asking, ctes: Ctes, any_row: bool
) -> Condition:
    """What is asked of a person's rows together. Unknown where there are none."""
    given = {item.alias.lower(): item.this for item in select.expressions if isinstance(item, exp.Alias)}

    def spelled_out(node: exp.Expr) -> exp.Expr:
        known = given.get(node.name.lower()) if isinstance(node, exp.Column) and not node.table else None
        return exp.paren(known.copy()) if known is not None and known.find(exp.AggFunc) else node

    leaves: list[Leaf] = []
    condition = conditions_of(having, asking.dialect, owner_of(select), leaves)
    for leaf in leaves:
        leaf.condition.relations = frozenset()
        outside = [column for column in leaf.columns if not column.find_ancestor(exp.AggFunc)]
        leaf.columns = [column for column in outside if column.name.lower() not in given]
        leaf.test = leaf.test.copy().transform(spelled_out)
        leaf.side = leaf.side.copy().transform(spelled_out) if leaf.side is not None else None
        leaf.thresholds = [threshold.copy().transform(spelled_out) for threshold in leaf.thresholds]
    if any_row:
        source = exp.select()
        for clause in ("from_", "joins", "where"):
            source.set(clause, _copied(select.args.get(clause)))
        source = source.where(exp.EQ(this=output.copy(), expression=asking.literal()))
        source.set("group", _group(select, output))
        asking.fill(condition, leaves, source, ctes)
    return condition


def _copied(part: object) -> object:
    if isinstance(part, list):
        return [one.copy() for one in part]
    return part.copy() if isinstance(part, exp.Expr) else part


def _group(select: exp.Select, output: exp.Expr) -> exp.Group:
    """The grouping without places and `all`, which mean another select's columns."""
    group = select.args.get("group")
    if group is None:
        raise Unexplained("its having has no group by")
    if any(group.args.get(clause) for clause in ("grouping_sets", "cube", "rollup", "totals")):
        raise Unexplained("it groups in several ways at once")
    columns = [item.unalias() for item in select.expressions]
    if group.args.get("all"):
        return exp.Group(expressions=[column.copy() for column in columns if not column.find(exp.AggFunc)])
    found = []
    for item in group.expressions:
        placed = isinstance(item, exp.Literal) and not item.is_string
        found.append((columns[int(item.this) - 1] if placed else item).copy())
    return exp.Group(expressions=found)


def _output(select: exp.Select, column: str | int) -> exp.Expr:
    """What the select gives as the person."""
    items = select.expressions
    if isinstance(column, int):
        if column < len(items) and not any(item.is_star for item in items[: column + 1]):
            return items[column].unalias().unnest()
        column = PERSON
    for item in items:
        if item.alias_or_name.lower() == column:
            return item.unalias().unnest()
    for item in items:
        if item.is_star:
            table = item.args.get("table")
            if table is not None or len(relations_of(select)) == 1:
                return exp.column(column, table=table.copy() if table is not None else None)
            return exp.column(column, table=relations_of(select)[0].alias_or_name)
    raise Unexplained(f"a part of it gives no {column}")


def _within(relation: exp.Expr, ctes: Ctes) -> tuple[exp.Expr, Ctes] | None:
    """The query behind a subquery or CTE and the CTEs that it can read; None where it is a relation of the warehouse."""
    if isinstance(relation, exp.Subquery):
        return relation.this, ctes
    if isinstance(relation, exp.Table) and not relation.db:
        for place, cte in enumerate(ctes):
            if cte.alias.lower() == relation.name.lower():
                columns = cte.args["alias"].args.get("columns")
                return None if columns else (cte.this, ctes[:place])
    return None


def _look_within(relation: exp.Expr, rows: Rows, asking: Asking, ctes: Ctes) -> None:
    name = relation.alias_or_name.lower()
    inner = _within(relation, ctes)
    row = next((condition for condition in rows.conditions if condition.row_of == name), None)
    if row is None or inner is None or name not in rows.persons or asking.recursive:
        return
    try:
        found = _query(inner[0], asking, inner[1], rows.persons[name])
    except Unexplained:
        return  # the row itself is told
    if found.row_of and not found.within:  # `select * from relation`: the CTE has only given it another name
        row.text = found.text
    else:
        row.within = found


def _look_into_a_list(leaf: Leaf, rows: Rows, output: exp.Expr, asking: Asking, ctes: Ctes) -> None:
    """`profile_id in (select …)`, as the helpers of audiences have it: the list is a query for the person, too."""
    test = leaf.test.this.unnest() if isinstance(leaf.test, exp.Not) else leaf.test
    inner = test.args.get("query") if isinstance(test, exp.In) else None
    if inner is None or not isinstance(test.this.unnest(), exp.Column) or asking.recursive:
        return
    column = test.this.unnest()
    is_person = column == output or rows.persons.get(column.table.lower()) == column.name.lower()
    select = inner.unnest()
    if not is_person or not isinstance(select, exp.Select) or not relations_of(select):
        return
    try:
        found = _query(select, asking, ctes, 0)
    except Unexplained:
        return
    if found.verdict is not (leaf.condition.holds if test is leaf.test else not leaf.condition.holds):
        return  # it reads something of the outer row
    relation = relations_of(select)[0]
    name = relation.sql(dialect=asking.dialect, comments=False) if isinstance(relation, exp.Table) else ""
    listed = name.split(" ")[0].replace('"', "").removeprefix("warehouse.") or "a list"
    leaf.condition.value, leaf.condition.within = None, found
    if test is leaf.test:
        leaf.condition.text, leaf.condition.row_of = f"has a row in {listed}", listed
    else:
        leaf.condition.text = f"has no row in {listed}"
