"""Time: UTC without zone everywhere; the moment that a build speaks for."""

from datetime import UTC, datetime

from cdp_orchestration.errors import NeedsAPerson


def parsed_as_of(text: str | None) -> str:
    """ISO text, UTC without zone, microseconds. Raises NeedsAPerson where the text is no time."""
    if not text:
        return datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise NeedsAPerson(f"as_of {text!r} is not an ISO 8601 time; write for example 2026-11-01T00:00:00.") from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="microseconds")
