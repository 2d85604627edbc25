"""What can go wrong, named by what the caller should do about it.

Every message names the file or asset, the field, and the remedy; an operator reads it at 2 a.m.
"""

import errno
from pathlib import Path


class CdpError(Exception):
    """Base of all errors that are meant to be read by a person."""


class TryAgain(CdpError):
    """A passing fault (network, 429, 5xx, a lock): the same call may work later."""


class NoAnswer(TryAgain):
    """A TryAgain of the other side that also knows its `code` and whether what was sent may have arrived all the same.

    A plain TryAgain counts as "may have arrived": such rows are removed if they are not wanted any more.
    """

    def __init__(self, message: str, code: str = "", may_have_arrived: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.may_have_arrived = may_have_arrived


class Refused(CdpError):
    """The other side refused what was sent (one row, or a batch that may be halved); sending it again is no use.

    `code` is the other side's own code, as text (an HTTP status, say).
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NeedsAPerson(CdpError):
    """A person must act first: wrong configuration, a missing secret, refused credentials.

    `code` is the other side's own code, and `may_have_arrived` says whether an earlier try of what was sent may have.
    """

    def __init__(self, message: str, code: str = "", may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.may_have_arrived = may_have_arrived


def is_disk_full(error: BaseException | str | None) -> bool:
    """Whether an error, or one that it came from, says that a disk (or a quota) is full. A text is what an error said."""
    if isinstance(error, str):
        return any(words in error.lower() for words in _FULL)
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error).lower() for words in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


# As the kernel, SQLite and DuckDB say it.
_FULL = ("no space left on device", "disk quota exceeded", "database or disk is full")


def disk_full(where: Path | str) -> TryAgain:
    """The error where a disk is full."""
    return TryAgain(
        f"The disk that holds {where} is full. Make room and run again: what landed and what was delivered is written down, "
        "and what could not be written is done again."
    )
