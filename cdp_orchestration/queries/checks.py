"""`cdp check`: is everything that is declared in its place? One text per problem, naming the file and the remedy."""

from typing import Any

from cdp_orchestration.components.run_pass import validate_definitions
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.declared import FOLDER, declared_syncs, read_sync
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import current_home
from cdp_orchestration.identity.protection import unknown_sources
from cdp_orchestration.identity.rules import check_overrides, identity_rules
from cdp_orchestration.project.attribute_columns import colliding_columns, declared_traits
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.project.mappings import repeated_values
from cdp_orchestration.project.streams import ARRIVALS, is_table, landed_not_read, sources_of
from cdp_orchestration.warehouse import Warehouse


def check_definitions() -> list[str]:
    """Load all definitions, hold them against each other, and see whether the warehouse could be built."""
    try:
        check_overrides(identity_rules())
        validate_definitions()
        manifest = current_manifest(current_home())
        sources, _ = connections("sources"), connections("destinations")
    except CdpError as error:
        return [str(error)]
    problems = []
    try:
        Warehouse(current_home()).check()
    except CdpError as error:
        problems.append(str(error))
    problems += colliding_columns(manifest, declared_traits())
    for node in declared_syncs(manifest):
        try:
            read_sync(node)
        except CdpError as error:
            problems.append(str(error))
    streams = {(name, stream) for name, source in sources.items() for stream in source.streams}
    meant = {
        (source["source_name"], source["name"])
        for source in manifest["sources"].values()
        if source["source_name"] != "cdp"
    }
    problems += unknown_sources({name for name, _ in streams | meant})
    staging = "dbt_project/models/1_staging"
    for name, stream in sorted(streams - meant):
        problems.append(
            f"cdp_orchestration/defs/sources/{name}/defs.yaml: stream '{stream}' lands, but nothing says what it means: "
            f"add {staging}/stg_{name}__{stream}.sql and its .yml (which declares the dbt source)."
        )
    for name, stream in sorted(meant - streams):
        problems.append(
            f"{staging}/stg_{name}__{stream}.yml: reads a stream that no source lands: add it to "
            f"cdp_orchestration/defs/sources/{name}/defs.yaml, or remove the model."
        )
    problems += _unread_models(manifest)
    problems += _models_without_test(manifest)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and "1_staging" in node["fqn"]:
            problems += [
                f"{node['original_file_path']}: '{value}' is there twice in one table of values, and only the last one would count: "
                f"keep one of them."
                for value in repeated_values(node["raw_code"])
            ]
    return problems


# What a model of these folders promises, and the test that holds it to that.
_PROMISED = {"4_attributes": "is_attribute", "5_audiences": "is_audience", FOLDER: "is_sync"}


def _models_without_test(manifest: dict[str, Any]) -> list[str]:
    """Attributes, audiences and syncs that no .yml names, or whose .yml does not test what they promise."""
    tested = {
        (node.get("attached_node"), (node.get("test_metadata") or {}).get("name"))
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
    }
    problems = []
    for key, node in sorted(manifest["nodes"].items()):
        test = _PROMISED.get(node["fqn"][-2]) if node["resource_type"] == "model" else None
        if test is None or node["name"] == "deliveries" or (key, test) in tested:
            continue
        file = node["original_file_path"]
        if node.get("patch_path"):
            where = str(node["patch_path"]).removeprefix("cdp://")
            problems.append(
                f"{where}: model '{node['name']}' has no test {test}: add it under data_tests, as `cdp new` writes it."
            )
        else:
            twin = f"{file.removesuffix('.sql')}.yml"
            problems.append(
                f"{file}: no .yml names this model, so nothing tests it: add {twin} with `- name: {node['name']}` and the test "
                f"{test}, as `cdp new` writes it."
            )
    return problems


def _unread_models(manifest: dict[str, Any]) -> list[str]:
    """Staging models whose messages go nowhere, and tables of streams that are none."""
    described = {key for key, source in sources_of(manifest).items() if is_table(source)}
    listed = {*manifest["nodes"][ARRIVALS]["depends_on"]["nodes"]}
    problems = []
    for key, node in sorted(manifest["nodes"].items()):
        if node["resource_type"] != "model" or key in listed:
            continue
        read = {origin for origin in node["depends_on"]["nodes"] if origin.startswith("source.")}
        if read and read <= described:
            continue
        file = node["original_file_path"]
        if (node["config"].get("meta") or {}).get("table"):
            problems.append(
                f"{file}: makes a table of a stream that its twin does not call one: say `meta: {{stream: table}}` at the "
                f"source in its .yml."
            )
        elif node["name"].startswith("stg_"):
            problems.append(
                f"{file}: its messages go nowhere: name it in the list of streams in arrivals.sql, or say "
                f"`meta: {{stream: table}}` at the source in its .yml where it only describes."
            )
    return problems


def notes() -> list[str]:
    """What is in order and yet worth knowing: streams that landed and are not read. Call after check_definitions."""
    manifest = current_manifest(current_home())
    return [unread.sentence() for unread in landed_not_read(current_home(), manifest)]
