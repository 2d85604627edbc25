"""Tables for Dagster's metadata."""

from typing import Any

MAX_TEXT = 60


def markdown_table(names: list[str], rows: list[tuple[Any, ...]]) -> str:
    """Rows as a Markdown table, long texts cut."""
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = ("" if value is None else str(value).replace("|", "\\|").replace("\n", " ") for value in row)
        lines.append(
            "| " + " | ".join(cell if len(cell) <= MAX_TEXT else cell[:MAX_TEXT] + "…" for cell in cells) + " |"
        )
    return "\n".join(lines)
