"""A stream's table or query as SQL that stands inside ours: its comments, literals and semicolons do no harm there.

`:since` in a query of the user's own is the reading position less the lag; anywhere inside a literal, a quoted name or a
comment it is nothing but text, and so is every other colon.
"""

import re
from collections.abc import Iterator

from cdp_orchestration.errors import NeedsAPerson

_SINCE = re.compile(r"(?<![:\w\\]):since\b(?!:)")
_DOLLAR = re.compile(r"\$(?:[A-Za-z_]\w*)?\$")
_BACKSLASHED = {quote: re.compile(rf"{quote}(?:\\.|[^\\{quote}])*(?:{quote}|$)", re.DOTALL) for quote in "'\""}
_LINE_END = re.compile(r"\n|$")
_NESTED = re.compile(r"/\*|\*/")


def pieces(sql: str, dialect: str) -> Iterator[tuple[str, str]]:
    """The text cut into ("code" | "quoted" | "comment", text); joined they are the text again."""
    at = start = 0
    while at < len(sql):
        end, kind = _special(sql, at, dialect)
        if end is None:
            at += 1
            continue
        if start < at:
            yield "code", sql[start:at]
        yield kind, sql[at:end]
        at = start = end
    if start < len(sql):
        yield "code", sql[start:]


def _special(sql: str, at: int, dialect: str) -> tuple[int | None, str]:
    """Where the literal, quoted name or comment that begins at `at` ends, if one does."""
    character, two = sql[at], sql[at : at + 2]
    is_mysql = dialect in ("mysql", "mariadb")
    if two == "/*":
        return _comment_end(sql, at, nests=dialect == "postgresql"), "comment"
    if (two == "--" and not (is_mysql and sql[at + 2 : at + 3].strip())) or (character == "#" and is_mysql):
        return _found(_LINE_END.search(sql, at)), "comment"
    if character in "'\"" and (is_mysql or (dialect == "postgresql" and _is_escape_string(sql, at))):
        return _found(_BACKSLASHED[character].match(sql, at), len(sql)), "quoted"
    if character in "'\"" or (character == "`" and dialect != "postgresql"):
        return sql.find(character, at + 1) + 1 or len(sql), "quoted"
    if character == "[" and dialect in ("sqlite", "mssql"):
        return sql.find("]", at) + 1 or len(sql), "quoted"
    if dialect == "postgresql" and (opened := _DOLLAR.match(sql, at)) and not re.match(r"\w", sql[at - 1 : at]):
        closed = sql.find(opened.group(), opened.end())
        return (len(sql) if closed < 0 else closed + len(opened.group())), "quoted"
    return None, ""


def _is_escape_string(sql: str, at: int) -> bool:
    return sql[at] == "'" and sql[at - 1 : at] in ("e", "E") and not re.match(r"\w", sql[at - 2 : at - 1])


def _comment_end(sql: str, at: int, nests: bool) -> int:
    if not nests:
        return sql.find("*/", at + 2) + 2 if "*/" in sql[at + 2 :] else len(sql)
    depth = 0
    for mark in _NESTED.finditer(sql, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def _found(match: "re.Match[str] | None", otherwise: int = 0) -> int:
    return match.end() if match else otherwise


def bare(query: str, dialect: str) -> list[tuple[str, str]]:
    """The pieces of a query without the semicolon and the comments at its end.

    Raises NeedsAPerson where there is nothing else, or more than one statement.
    """
    parts = list(pieces(query, dialect))
    while parts and (parts[-1][0] == "comment" or not parts[-1][1].strip("; \t\r\n\f")):
        parts.pop()
    if not parts:
        raise NeedsAPerson("`query` holds no statement: write a select.")
    if parts[-1][0] == "code":
        parts[-1] = ("code", parts[-1][1].rstrip("; \t\r\n\f"))
    if any(kind == "code" and ";" in text for kind, text in parts):
        raise NeedsAPerson("`query` holds more than one statement: leave one select.")
    return parts


def relation_of(parts: list[tuple[str, str]]) -> str:
    """The query as a relation for SQLAlchemy's text(): only `:since` in its code stays a parameter."""
    # A line end, in case that the database sees a comment where we see none.
    return f"({''.join(_escaped(text, kind == 'code') for kind, text in parts)}\n) as queried"


def names_since(parts: list[tuple[str, str]]) -> bool:
    """Whether the query asks for the reading position."""
    return any(kind == "code" and _SINCE.search(text) for kind, text in parts)


def _escaped(text: str, is_code: bool) -> str:
    kept = {match.start() for match in _SINCE.finditer(text)} if is_code else set()
    return "".join("\\:" if c == ":" and at not in kept else c for at, c in enumerate(text))
