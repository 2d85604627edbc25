"""What dbt does again for every node of a build, though it comes out the same, done once in a process.

    namespaces   for each node dbt works out, for each of a thousand macros, which packages see it; that is the same for all
                 nodes of a package
    events       dbt puts together the whole message of a debug event before the loggers throw it away

Nothing else changes: tests/builds/test_dbt_savings.py holds namespaces and messages against dbt's own. A dbt that is made
otherwise, as another version may be, goes on as it is.
"""

import functools
import logging
from dataclasses import dataclass
from typing import Any


@functools.cache
def save() -> bool:
    """Makes both so in this process. Returns whether this dbt is one that they fit."""
    try:
        from dbt.context.macros import MacroNamespaceBuilder
        from dbt_common.events.event_manager import EventManager

        MacroNamespaceBuilder.build_namespace = _namespaces(MacroNamespaceBuilder.build_namespace)  # type: ignore[method-assign]
        EventManager.fire_event = _events(EventManager.fire_event)  # type: ignore[method-assign]
    except (ImportError, AttributeError):
        return False
    return True


@dataclass(frozen=True)
class _Shape:
    """A namespace without callables: each of its dicts as names and places in `macros`."""

    macros: list[Any]
    internal: dict[str, int]
    packages: dict[str, dict[str, int]]
    merged: dict[str, int]
    merged_packages: list[str]


def _namespaces(build: Any) -> Any:
    from dbt.clients.jinja import MacroGenerator
    from dbt.context.macros import MacroNamespace

    class Namespace(MacroNamespace):
        """One that knows already what its search order gives for every name."""

        merged: dict[str, Any]

        def __getitem__(self, key: str) -> Any:
            return self.merged[key]

        def _keys(self) -> Any:
            return self.merged.keys()

    new = MacroGenerator.__new__
    shapes: dict[tuple[Any, ...], tuple[dict[str, Any], _Shape]] = {}

    @functools.wraps(build)
    def build_namespace(self: Any, macros_by_package: dict[str, dict[str, Any]], ctx: dict[str, Any]) -> Any:
        # While a project is parsed, macros are added.
        count = sum(map(len, macros_by_package.values()))
        key = (id(macros_by_package), count, self.root_package, self.search_package, *self.internal_package_names_order)
        of, shape = shapes.get(key, (None, None))
        if of is not macros_by_package or shape is None:
            built = build(self, macros_by_package, ctx)
            shapes[key] = macros_by_package, _shape(built)
            return built
        callables = [new(MacroGenerator) for _ in shape.macros]
        for each, macro in zip(callables, shape.macros, strict=True):
            each.context, each.macro, each.node, each.stack = ctx, macro, self.node, self.thread_ctx
        packages = {name: _named(places, callables) for name, places in shape.packages.items()}
        internal = _named(shape.internal, callables)
        local = packages.get(self.search_package, {})
        root = packages.get(self.root_package, {}) if self.root_package != self.search_package else {}
        namespace = Namespace(root, local, internal, packages)
        namespace.merged = _named(shape.merged, callables)
        namespace.merged |= {name: {**packages, "dbt": internal}[name] for name in shape.merged_packages}
        return namespace

    return build_namespace


def _named(places: dict[str, int], callables: list[Any]) -> dict[str, Any]:
    return dict(zip(places, map(callables.__getitem__, places.values()), strict=True))


def _shape(namespace: Any) -> _Shape:
    macros: list[Any] = []
    places: dict[int, int] = {}

    def placed(each: Any) -> int:
        if id(each) not in places:
            places[id(each)] = len(macros)
            macros.append(each.macro)
        return places[id(each)]

    def of(named: dict[str, Any]) -> dict[str, int]:
        return {name: placed(each) for name, each in named.items()}

    return _Shape(
        internal=of(namespace.global_project_namespace),
        packages={name: of(named) for name, named in namespace.packages.items()},
        merged={name: placed(each) for name, each in namespace.items() if not isinstance(each, dict)},
        merged_packages=[name for name, each in namespace.items() if isinstance(each, dict)],
        macros=macros,
    )


def _events(fire: Any) -> Any:
    from dbt_common.events.base_types import EventLevel

    unheard = {EventLevel.DEBUG, EventLevel.TEST}

    @functools.wraps(fire)
    def fire_event(
        self: Any, e: Any, level: Any = None, node: Any = None, force_warn_or_error_handling: bool = False
    ) -> None:
        if (
            not force_warn_or_error_handling
            and not self.callbacks
            and (level or e.level_tag()) in unheard
            and not any(_hears_debug(logger) for logger in self.loggers)
        ):
            return
        fire(self, e, level, node, force_warn_or_error_handling)

    return fire_event


def _hears_debug(logger: Any) -> bool:
    written_by = logger._python_logger
    return written_by is not None and bool(written_by.isEnabledFor(logging.DEBUG))
