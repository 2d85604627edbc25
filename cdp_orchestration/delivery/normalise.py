"""Placeholder until the table of normalisation is merged."""

VERSION = "1"


def normalise(format: str, value: object, default_region: str | None = None) -> str | None:
    text = str(value).strip().lower() if value is not None else ""
    return text or None
