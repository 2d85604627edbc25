"""How answers look on a terminal."""

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdp_orchestration.queries.answers import Answer, Rows


def show(answer: Iterable[Answer], console: Console) -> None:
    """Print tables and sentences as they come, an empty line between them."""
    for number, part in enumerate(answer):
        if number:
            console.print()
        if isinstance(part, Rows):
            console.print(table(part.title, part.columns, part.rows))
        else:
            console.print(part, soft_wrap=True, markup=False)


def as_json(answer: Iterable[Answer]) -> str:
    """The same for programs: tables by title, each a list of rows by column (`status`: a column without a name), and the
    sentences as notes."""
    notes: list[str] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    for part in answer:
        if isinstance(part, Rows):
            names = [column or "status" for column in part.columns]
            tables[part.title] = [dict(zip(names, row, strict=True)) for row in part.rows]
        else:
            notes.append(part)
    return json.dumps({"tables": tables, "notes": notes}, indent=1, default=str, ensure_ascii=False)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A plain table; numbers to the right."""
    lines = [list(row) for row in rows]
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(lines) and all(isinstance(row[index], int | float) or row[index] is None for row in lines)
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in lines:
        shown.add_row(*(_text(value) for value in row))
    if not lines:
        shown.caption, shown.caption_justify = "none", "left"
    return shown


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return escape(str(value))
