"""The dbt project as assets: one per model, one group per layer; its tests are their checks."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets

from cdp_orchestration.components.build import BuildConfig, build
from cdp_orchestration.components.sync import sync_asset
from cdp_orchestration.delivery.declared import declared_syncs
from cdp_orchestration.project.layers import layer_of
from cdp_orchestration.project.parse import DBT_EXECUTABLE, Dbt, dbt_project

PROJECT = dbt_project()
MANIFEST: dict[str, Any] = json.loads(PROJECT.manifest_path.read_text())


class Layers(DagsterDbtTranslator):
    """Keys are [schema, model], groups are layers."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return layer_of(dbt_resource_props["schema"])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props.get("description") or ""


@dbt_assets(
    manifest=MANIFEST,
    project=PROJECT,
    dagster_dbt_translator=Layers(),
    name="warehouse",
    pool="warehouse",
)
def warehouse(context: dg.AssetExecutionContext, config: BuildConfig, dbt: Dbt) -> Iterator[Any]:
    yield from build(context, config, dbt, PROJECT, MANIFEST)


def _checks_upstream_of(node: dict[str, Any]) -> list[dg.AssetCheckKey]:
    """Checks of the model and of all models that it is made of."""
    above: set[str] = set()
    waiting = [node["unique_id"]]
    while waiting:
        unique_id = waiting.pop()
        if unique_id not in above and unique_id in MANIFEST["nodes"]:
            above.add(unique_id)
            waiting += MANIFEST["nodes"][unique_id]["depends_on"].get("nodes", [])
    keys = {dg.AssetKey([MANIFEST["nodes"][i]["schema"], MANIFEST["nodes"][i]["alias"]]) for i in above}
    return [spec.key for spec in warehouse.check_specs if spec.asset_key in keys and spec.blocking]


@dg.definitions
def defs() -> dg.Definitions:
    syncs = [sync_asset(node, _checks_upstream_of(node)) for node in declared_syncs(MANIFEST)]
    return dg.Definitions(
        assets=[warehouse, *syncs],
        resources={
            "dbt": Dbt(
                project_dir=str(PROJECT.project_dir),
                profiles_dir=str(PROJECT.profiles_dir),
                dbt_executable=DBT_EXECUTABLE,
            )
        },
    )
