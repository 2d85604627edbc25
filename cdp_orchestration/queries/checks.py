"""`cdp check`: is everything that is declared in its place? One text per problem, naming the file and the remedy."""

from cdp_orchestration.components.run_pass import validate_definitions
from cdp_orchestration.connections import connections
from cdp_orchestration.delivery.sync import declared_syncs, read_sync
from cdp_orchestration.errors import CdpError
from cdp_orchestration.home import current_home
from cdp_orchestration.identity.rules import check_overrides, identity_rules
from cdp_orchestration.project.attribute_columns import colliding_columns, declared_traits
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.project.streams import is_table, landed_not_read, sources_of
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
    described = {key for key, source in sources_of(manifest).items() if is_table(source)}
    unread = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["name"].startswith("stg_")
        and not ({*node["depends_on"]["nodes"]} & described and {*node["depends_on"]["nodes"]} <= described)
    } - {unique_id.rsplit(".", 1)[1] for unique_id in manifest["nodes"]["model.cdp.arrivals"]["depends_on"]["nodes"]}
    for model in sorted(unread):
        problems.append(
            f"{staging}/{model}.sql: its messages go nowhere: name it in the list of streams in arrivals.sql, or say "
            f"`meta: {{stream: table}}` at the source in its .yml where it only describes."
        )
    return problems


def notes() -> list[str]:
    """What is in order and yet worth knowing: streams that landed and are not read. Call after check_definitions."""
    manifest = current_manifest(current_home())
    return [unread.sentence() for unread in landed_not_read(current_home(), manifest)]
