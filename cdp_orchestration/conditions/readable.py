"""Conditions and values as a person reads them: the model's own words, without what every model repeats."""

import re
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import TokenType

LONGEST = 60
AS_WRITTEN = {TokenType.VAR, TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER}
# How macros/clock.sql moves the clock, on DuckDB and on PostgreSQL.
MOVED = re.compile(
    r"\+ (?:\(?cast\((?P<duck>-?\d+) as bigint\)\)? \* interval '1 ?(?:second)?'(?: second)?"
    r"|\(\(interval '1 second'\) \* \((?P<postgres>-?\d+)\)\))",
    re.IGNORECASE,
)
IN_BRACKETS = re.compile(r"(?<!\w)\((as_of(?: [-+] [\d,]+ \w+)?)\)")


def text_of(expression: exp.Expr, dialect: str) -> str:
    """The expression in lower case, with relations by layer and name, and the clock of the build as `as_of`."""
    shown = expression.copy().transform(_clock).transform(_simpler)
    if isinstance(shown, exp.Not) and isinstance(shown.this, exp.Is | exp.In | exp.Like | exp.ILike | exp.Between):
        left, whole = text_of(shown.this.this, dialect), text_of(shown.this, dialect)
        if whole.startswith(f"{left} "):
            rest = whole[len(left) + 1 :]
            return f"{left} is not {rest[3:]}" if rest.startswith("is ") else f"{left} not {rest}"
    text = MOVED.sub(_moved, _lower(shown.sql(dialect=dialect, comments=False), dialect))
    while (fewer := IN_BRACKETS.sub(r"\1", text)) != text:
        text = fewer
    return text


def is_clock(table: exp.Expr) -> bool:
    """Whether this is the relation that models read their clock from, or the same at another moment."""
    if isinstance(table, exp.Subquery) and isinstance(table.this, exp.Select) and table.this.args.get("from_"):
        return is_clock(table.this.args["from_"].this)
    return isinstance(table, exp.Table) and table.name == "current_build" and table.db == "staging"


def _clock(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
        source, columns = node.this.args.get("from_"), node.this.expressions
        if source and is_clock(source.this) and len(columns) == 1 and not node.this.args.get("where"):
            return exp.column(columns[0].alias_or_name)
    return node


def _simpler(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Table):
        node.set("catalog", None)
    if isinstance(node, exp.Column) and node.args.get("db"):
        return exp.column(node.name, table=node.table)
    if isinstance(node, exp.Identifier) and re.fullmatch(r"[a-z_][a-z0-9_]*", node.this):
        node.set("quoted", False)
    return node


def _lower(sql: str, dialect: str) -> str:
    pieces, end, before = list[str](), 0, ""
    for token in Dialect.get_or_raise(dialect).tokenize(sql):
        written = sql[token.start : token.end + 1]
        # Ours are names; sqlglot's own are capitals: functions, and units after the text of an interval.
        ours = not written.isupper() or not (sql[token.end + 1 : token.end + 2] == "(" or before[:1] == "'")
        name = token.token_type in AS_WRITTEN and ours
        pieces += [sql[end : token.start], written if name or written[:1] in "\"'`" else written.lower()]
        end, before = token.end + 1, written
    return "".join(pieces) + sql[end:]


def _moved(found: re.Match[str]) -> str:
    moved = int(found["duck"] or found["postgres"])
    seconds = abs(moved)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("second", 1)):
        if seconds % length == 0:
            amount = seconds // length
            return f"{'-' if moved < 0 else '+'} {amount:,} {unit}{'' if amount == 1 else 's'}"
    return found[0]


def shown(value: Any) -> str:
    """A value in a cell; null is said."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
