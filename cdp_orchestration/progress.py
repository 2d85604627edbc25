"""One line at a time about what is going on. In Dagster it goes to the run's log; `cdp` shows it on the terminal."""

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def say(text: str) -> None:
    """Tell whoever listens."""
    for listener in _listeners:
        listener(text)


def listen(listener: Callable[[str], None]) -> None:
    """Hear everything said from now on."""
    _listeners.append(listener)
