"""A boolean expression as a tree of conditions, and what to ask of a row to fill it in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from cdp_orchestration.conditions.readable import text_of
from cdp_orchestration.conditions.tree import Condition, Kind, joined

COMPARED = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.ILike, exp.SimilarTo,
    exp.Glob,
)  # fmt: skip
NEARER = {exp.GT: True, exp.GTE: True, exp.LT: False, exp.LTE: False}  # of the left side: is more nearer to holding?
Owner = Callable[[exp.Column], str | None]


@dataclass
class Leaf:
    """A leaf and its questions: `test` is boolean; `side` the compared value, `columns` what it is made of."""

    condition: Condition
    test: exp.Expr
    side: exp.Expr | None = None
    columns: list[exp.Column] = field(default_factory=list)
    thresholds: list[exp.Expr] = field(default_factory=list)
    more_is_nearer: bool | None = None


def conditions_of(expression: exp.Expr, dialect: str, owner: Owner, leaves: list[Leaf]) -> Condition:
    """The tree along and, or, not and brackets; its leaves are added to `leaves`, in order."""
    inner = expression.unnest()
    kinds: list[tuple[type[exp.Expr], Kind]] = [(exp.And, "all"), (exp.Or, "any")]
    for operator, kind in kinds:
        if isinstance(inner, operator):
            return joined(kind, [conditions_of(part, dialect, owner, leaves) for part in inner.flatten()])
    if isinstance(inner, exp.Not) and isinstance(inner.this.unnest(), exp.And | exp.Or | exp.Not):
        return joined("not", [conditions_of(inner.this, dialect, owner, leaves)])
    leaves.append(_leaf(inner, dialect, owner))
    return leaves[-1].condition


def own_columns(expression: exp.Expr) -> list[exp.Column]:
    """The columns of the row that is asked, each once: not those of subqueries."""
    found: dict[str, exp.Column] = {}
    for column in _walk(expression):
        found.setdefault(column.sql(), column)
    return list(found.values())


def _walk(node: exp.Expr) -> Iterator[exp.Column]:
    if isinstance(node, exp.Column):
        yield node
    elif not isinstance(node, exp.Query):
        for child in node.iter_expressions():
            yield from _walk(child)


def _leaf(expression: exp.Expr, dialect: str, owner: Owner) -> Leaf:
    columns = own_columns(expression)
    owners = {owner(column) for column in columns}
    relations = frozenset() if None in owners else frozenset(name for name in owners if name)
    leaf = Leaf(Condition(text_of(expression, dialect), relations=relations), expression, columns=columns)
    compared = expression.this.unnest() if isinstance(expression, exp.Not) else expression
    if isinstance(compared, COMPARED):
        left, right = compared.this, compared.expression
        more = NEARER.get(type(compared))
        if not own_columns(left) and own_columns(right):
            left, right, more = right, left, None if more is None else not more
        leaf.side, leaf.thresholds = left, [right]
        leaf.more_is_nearer = more if compared is expression else None
    elif isinstance(compared, exp.Between):
        leaf.side, leaf.thresholds = compared.this, [compared.args["low"], compared.args["high"]]
    elif isinstance(compared, exp.In | exp.Is):
        leaf.side = compared.this
    elif isinstance(compared, exp.Column):
        leaf.side = compared
    if leaf.side is not None:
        leaf.columns = [] if isinstance(leaf.side.unnest(), exp.Column) else own_columns(leaf.side)
        if len(leaf.thresholds) == 1 and isinstance(leaf.side.unnest(), exp.Null):
            leaf.side = None
    return leaf
