"""What reading text of any kind needs: damage that a person can repair, lines that are too long, half characters."""

from cdp_orchestration.landing.records import BOM

SPACE = " \t\r\n"
BLANK = SPACE + BOM  # a byte-order mark at either end of a line is no content: it is where files were joined


class Damaged(Exception):
    """A file that cannot be read, or not on from here; `remedy` says what a person can do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def is_text(line: str) -> bool:
    """Whether all of a line, decoded with surrogateescape, was valid."""
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(line: str) -> str:
    """A line with its invalid bytes as replacement characters."""
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
