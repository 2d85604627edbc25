"""One dbt build as a Dagster step: under the warehouse lock, with the clock of the run, full when the rules changed."""

import json
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource, DbtProject
from dagster_dbt.errors import DagsterDbtError

from cdp_orchestration import last_pass
from cdp_orchestration.clock import parsed_as_of
from cdp_orchestration.components import runs
from cdp_orchestration.components.audience_metadata import with_jumps
from cdp_orchestration.components.failures import as_dagster_failure, unexpected
from cdp_orchestration.components.metadata import with_samples
from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import Home, current_home
from cdp_orchestration.identity.rules import check_overrides, identity_rules
from cdp_orchestration.project import definitions, relations
from cdp_orchestration.project import fingerprint as rules
from cdp_orchestration.project.layers import layer_of
from cdp_orchestration.project.streams import landed_not_read, staging_views
from cdp_orchestration.queries.data_checks import BROKEN_PROMISE
from cdp_orchestration.warehouse import NothingBuilt, RelationMissing, Warehouse
from cdp_orchestration.warehouse.loading import load_landing

log = logging.getLogger("cdp")

KEPT_INVOCATIONS = 20
# What dbt writes beside its work costs a tenth of a build with nothing new: its manifest is ours already, results come as
# events, and the statements are in the invocation's folder (compiled/, run/).
LEAN_DBT = {"DBT_WRITE_JSON": "false", "DBT_LOG_LEVEL_FILE": "info"}


class BuildConfig(dg.Config):
    """Per-run switches of a build."""

    as_of: str | None = None
    """The moment the build speaks for (ISO 8601, UTC); the clock when left out."""
    full_refresh: bool = False
    """Rebuild everything from landing."""


def build(
    context: dg.AssetExecutionContext,
    config: BuildConfig,
    dbt: DbtCliResource,
    project: DbtProject,
    manifest: dict[str, Any],
) -> Iterator[Any]:
    """Run dbt for the selected models and yield their results with row counts and samples."""
    home = current_home()
    runs.sign(context.instance, context.run_id)
    with as_dagster_failure("build"):
        last_pass.forget(home)
        as_of = parsed_as_of(config.as_of)
        check_overrides(identity_rules())
        Warehouse(home).check()
        load_landing(home, manifest)
        for unread in landed_not_read(home, manifest):
            if not unread.is_table:
                log.info(
                    f"landed, not read: {unread.source}.{unread.stream} ({unread.records:,} records); `cdp check` says more."
                )
        fingerprint = rules.fingerprint(manifest)
        full = config.full_refresh
        before = rules.fingerprint_of_last_build(Warehouse(home))
        if before is not None and before != fingerprint and not full:
            log.info("Identity rules or staging mappings changed since the last build: rebuilding everything.")
            full = True
        if not full and definitions.is_half_made(home):
            log.info("The last full refresh did not come to its end: rebuilding everything.")
            full = True
        full = full or Warehouse(home).always_full
        if full and context.is_subset and set(context.selected_asset_keys) != _all_keys(context):
            raise NeedsAPerson(
                "A full refresh rebuilds every model, but only some are selected: select all models of the warehouse "
                "(or run `cdp run --full-refresh`)."
            )
        changed = definitions.changed(home, manifest, full)
        if changed.models:
            log.info(changed.sentence())
        environment = {
            "CDP_BUILD_ID": context.run_id,
            "CDP_AS_OF": as_of,
            "CDP_RULES_FINGERPRINT": fingerprint,
            "CDP_HOME": str(home.root),
            **({} if Warehouse(home).always_full else changed.environment()),
            **LEAN_DBT,
        }
        left = _left_behind(home, manifest) if full else {}
        environment["CDP_LEFT_BEHIND"] = json.dumps(left)
        relations.remember(home, manifest)
        arguments = ["build", "--exclude-resource-type", "unit_test", *(["--full-refresh"] if full else [])]
        held: list[Any] = []
        failed: dict[str, str] = {}
        invocation, failure = None, None
        with as_dagster_failure("build"), Warehouse(home).writing(), _environment(environment):
            try:
                invocation = dbt.cli(arguments, context=context)
                for event in _logged(_read(invocation, failed), context):
                    held.append(event)
            except Exception as error:  # what dbt did finish is still reported, below
                failure = error
        _tidy(invocation)
        tell_of_other_ids(home, context.run_id)
    if failure is None and not context.is_subset:
        definitions.note(home, changed.parts)
    if left and failure is None:
        relations.forget(home, list(left))
        log.info(f"Dropped {len(left)} relations of models that the project no longer has: {', '.join(left)}.")
    # Models are reported when dbt has let go of the file: their counts and samples are read from it.
    with as_dagster_failure("build"):
        seen = list(with_jumps(held, home, invocation.target_path)) if invocation else held
        yield from with_samples(context, seen, home, staging_views(manifest))
    if failure is not None:
        said = str(failure) if isinstance(failure, DagsterDbtError) else unexpected("build", failure)
        reasons = [f"{name}: {why}" for name, why in failed.items()] or [said]
        if any(is_disk_full(text) for text in reasons):
            reasons = [str(disk_full(home.root))]
        for text in reasons:
            log.error(f"build: {text}")
        raise dg.Failure(description="\n".join(reasons), allow_retries=False) from failure


def _left_behind(home: Home, manifest: dict[str, Any]) -> dict[str, str]:
    """The relations of models that are gone, as far as they are in the warehouse."""
    left = relations.left_behind(home, manifest)
    if not left:
        return {}
    try:
        with Warehouse(home).reading() as connection:
            return {name: left[name] for name in relations.existing(connection, list(left))}
    except NothingBuilt:
        return {}


def _read(invocation: DbtCliInvocation, failed: dict[str, str]) -> Iterator[Any]:
    """What dbt reports, as Dagster's events. `failed` gets what went wrong, by model or check: dbt's words, naming its file, or
    the promises that a check found broken."""
    broken: dict[str, list[str]] = {}
    for event in invocation.stream_raw_events():
        kind, data = event.raw_event["info"]["name"], event.raw_event["data"]
        node = data.get("node_info", {}).get("unique_id", "")
        name = node.split(".", 2)[-1] or "dbt"
        if kind == "JinjaLogInfo" and data["msg"].startswith(BROKEN_PROMISE):
            broken.setdefault(name, []).append(data["msg"].removeprefix(BROKEN_PROMISE).strip())
        elif kind == "RunResultError":
            failed[name] = "; ".join(broken.get(name, [])) or data["msg"].strip()
        for made in event.to_default_asset_events(
            manifest=invocation.manifest,
            dagster_dbt_translator=invocation.dagster_dbt_translator,
            context=invocation.context,
            target_path=invocation.target_path,
            project=invocation.project,
        ):
            yield _with_promises(made, broken.get(name, []))


def _with_promises(made: Any, broken: list[str]) -> Any:
    """A check's result says which promises are broken."""
    if not isinstance(made, dg.AssetCheckResult) or not broken:
        return made
    shown = dg.MetadataValue.md("\n".join(f"- {promise}" for promise in broken))
    return made._replace(metadata={**made.metadata, "broken": shown}, description="; ".join(broken))


def tell_of_other_ids(home: Home, build_id: str) -> None:
    """Log how many people have another id than before, where this build resolved everybody from the beginning."""
    with suppress(NothingBuilt, RelationMissing), Warehouse(home).reading() as connection:
        row = connection.execute(
            "select people, renamed from identity.renamings where build_id = ?", [build_id]
        ).fetchone()
        if row and row[1]:
            log.info(
                f"{row[1]:,} of {row[0]:,} people have another id than before: under these rules another message "
                "founds them. identity.merges and profiles.events have the new ids."
            )


def _logged(events: Iterator[Any], context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Log when the last model of a layer is done (dbt interleaves layers as their inputs are ready)."""
    left = Counter(layer_of(key.path[0]) for key in context.selected_asset_keys)
    models = Counter(left)
    started = time.monotonic()
    for event in events:
        if isinstance(event, dg.Output):
            layer = layer_of(context.asset_key_for_output(event.output_name).path[0])
            left[layer] -= 1
            if left[layer] == 0:
                log.info(f"built {layer}: {models[layer]} models, {time.monotonic() - started:.0f} s since the start")
        yield event


def _all_keys(context: dg.AssetExecutionContext) -> set[dg.AssetKey]:
    return set(context.assets_def.keys_by_output_name.values())


def _tidy(invocation: DbtCliInvocation | None) -> None:
    """Keep the target folders of the last few invocations, without what no person wants to read."""
    if invocation is None:
        return
    for name in ("partial_parse.msgpack", "manifest.json", "semantic_manifest.json", "graph.gpickle"):
        (invocation.target_path / name).unlink(missing_ok=True)
    ours = [folder for folder in invocation.target_path.parent.glob("warehouse-*") if folder.is_dir()]
    for folder in sorted(ours, key=lambda folder: folder.stat().st_mtime)[:-KEPT_INVOCATIONS]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
