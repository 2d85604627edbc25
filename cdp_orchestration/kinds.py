"""Finds the kinds of connectors: one public file of sources/ or destinations/ is one kind. Nobody keeps a list."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

from cdp_orchestration import destinations, sources
from cdp_orchestration.destinations.base import Destination
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.sources.base import Source

Connector = TypeVar("Connector", Source, Destination)


def _found(folder: ModuleType, base: type[Connector]) -> dict[str, type[Connector]]:
    """The concrete subclasses of `base` that the folder's modules define, by kind."""
    kinds: dict[str, type[Connector]] = {}
    for module_info in pkgutil.iter_modules(folder.__path__):
        if module_info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{folder.__name__}.{module_info.name}")
        for found in vars(module).values():
            if not (inspect.isclass(found) and issubclass(found, base) and not inspect.isabstract(found)):
                continue
            if found.__module__ != module.__name__:
                continue  # imported there, defined elsewhere
            if found.kind in kinds:
                raise NeedsAPerson(
                    f"{module.__file__}: another file already defines the kind of {base.__name__.lower()} "
                    f"'{found.kind}'. Give this one another name in its field 'kind'."
                )
            kinds[found.kind] = found
    return kinds


SOURCES: dict[str, type[Source]] = _found(sources, Source)  # type: ignore[type-abstract]
DESTINATIONS: dict[str, type[Destination]] = _found(destinations, Destination)  # type: ignore[type-abstract]
