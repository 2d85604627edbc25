"""What can go wrong, named by what the caller should do about it.

Every message names the file or asset, the field, and the remedy; an operator reads it at 2 a.m.
"""


class CdpError(Exception):
    """Base of all errors that are meant to be read by a person."""


class TryAgain(CdpError):
    """A passing fault (network, 429, 5xx, a lock): the same call may work later."""


class Refused(CdpError):
    """The other side refused what was sent (one row, or a batch that may be halved); sending it again is no use.

    `code` is the other side's own code, as text (an HTTP status, say).
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class StopAndTell(CdpError):
    """A person must act first: wrong configuration, a missing secret, refused credentials."""
