"""`cdp what-if FILE`: another rule set over the same messages, in a scratch copy of the warehouse. Touches nothing."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import yaml

from cdp_orchestration.errors import CdpError, NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.identity.rules import check_rules, identity_rules
from cdp_orchestration.project.manifest import audiences, current_manifest
from cdp_orchestration.project.parse import DBT_EXECUTABLE, dbt_project
from cdp_orchestration.queries.answers import Answer, Rows
from cdp_orchestration.scratch.folders import scratch_folder
from cdp_orchestration.warehouse import Warehouse
from cdp_orchestration.warehouse.loading import prepare

EXAMPLES = 5


def rules_of(file: Path) -> dict[str, Any]:
    """The rules in force, with those of the file laid over them. Raises NeedsAPerson where the file is wrong."""
    if not file.is_file():
        raise NeedsAPerson(f"{file}: there is no such file. It holds what would change in `vars: identity`, as YAML.")
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise NeedsAPerson(f"{file}: is no YAML ({error}).") from None
    if isinstance(given, dict) and set(given) == {"identity"}:
        given = given["identity"]
    if not isinstance(given, dict) or not given:
        raise NeedsAPerson(f"{file}: must hold what would change, as {{identifiers: {{email: {{limit: 2}}}}}}.")
    rules = identity_rules()
    types = given.get("identifiers")
    if isinstance(types, dict):
        merged = dict(rules["identifiers"])
        for name, rule in types.items():
            if rule is None and name not in merged:
                raise NeedsAPerson(
                    f"{file}: identifiers: {name}: is to go, but is not there. Declared: {', '.join(merged)}."
                )
            if rule is None:
                merged.pop(name)
            else:
                merged[name] = {**merged.get(name, {}), **rule} if isinstance(rule, dict) else rule
        types = merged
    rules = {**rules, **given, "identifiers": types if "identifiers" in given else rules["identifiers"]}
    check_rules(rules, str(file))
    return rules


def what_if(home: Home, file: Path) -> Iterator[Answer]:
    """The merges and splits that the rules would cause, and the profiles and members that would change."""
    rules = rules_of(file)
    with scratch_folder(home) as folder:
        scratch, now = Home(folder.root), folder.root / "now.duckdb"
        Warehouse(home).copy_to(now)
        shutil.copyfile(now, scratch.warehouse)
        prepare(scratch, json.loads(dbt_project(home).manifest_path.read_text()))
        done = subprocess.run(
            [DBT_EXECUTABLE, "--quiet", "run", "--full-refresh", "--select", "2_identity+", "--exclude", "6_activation",
             "--vars", json.dumps({"identity": rules}), "--profiles-dir", str(PROJECT_ROOT / "profiles"),
             "--target-path", str(scratch.root / "dbt"), "--log-path", str(scratch.root / "dbt")],
            env={**os.environ, "CDP_HOME": str(scratch.root), "CDP_TARGET": "duckdb"},
            cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CdpError(f"The scratch build under {file} failed:\n{(done.stdout + done.stderr)[-2000:]}")
        with duckdb.connect(str(now), read_only=True) as connection:
            connection.execute(f"attach '{scratch.warehouse}' as scratch (read_only)")
            yield from _report(connection, list(audiences(current_manifest(home))))
    yield "Nothing was changed. To adopt the rules, put them into dbt_project.yml; the next run rebuilds everything."


def _report(connection: duckdb.DuckDBPyConnection, names: list[str]) -> Iterator[Answer]:
    moved = """
        with both_sides as (
            select coalesce(now_held.identifier_type, then_held.identifier_type) as identifier_type,
                coalesce(now_held.identifier_value, then_held.identifier_value) as identifier_value,
                now_held.profile_id as now_id, then_held.profile_id as then_id
            from identity.identifiers as now_held full join scratch.identity.identifiers as then_held
                on now_held.identifier_type = then_held.identifier_type
                and now_held.identifier_value = then_held.identifier_value
        )
    """
    pairs = "(select distinct now_id, then_id from both_sides where now_id is not null and then_id is not null)"
    counts = connection.execute(moved + f"""
        select * from (values
            ('people now', (select count(distinct now_id) from both_sides)),
            ('people then', (select count(distinct then_id) from both_sides)),
            ('people who would be merged with others', (select count(*) from {pairs} where then_id in
                (select then_id from {pairs} group by 1 having count(*) > 1))),
            ('people who would be split', (select count(*) from (select now_id from {pairs} group by 1 having count(*) > 1))),
            ('people whose identifiers would change', (select count(distinct now_id) from both_sides
                where now_id is distinct from then_id and now_id is not null)),
            ('identifiers that nobody would hold any more', (select count(*) from both_sides where then_id is null)),
            ('identifiers that somebody would hold now', (select count(*) from both_sides where now_id is null)),
            ('messages whose person would change', (select count(*) from profiles.events as one
                join scratch.profiles.events as other using (message_id) where one.profile_id is distinct from other.profile_id))
        ) as counted(what, n)""").fetchall()  # fmt: skip
    yield Rows("People", ["what", "count"], counts)
    for title, by, other in (("Merges", "then_id", "now_id"), ("Splits", "now_id", "then_id")):
        examples = connection.execute(moved + f"""
            select {by}, count(distinct {other}),
                string_agg(identifier_type || '=' || identifier_value || ' (' || left({other}, 8) || ')', ', '
                    order by {other}, identifier_type, identifier_value)
            from both_sides where now_id is not null and then_id is not null group by {by} having count(distinct {other}) > 1
            order by 2 desc, 1 limit {EXAMPLES}""").fetchall()  # fmt: skip
        if examples:
            shown = [
                (profile, count, text if len(text) < 300 else text[:300] + "…") for profile, count, text in examples
            ]
            which = "was" if title == "Merges" else "would be"
            yield Rows(f"{title}: examples", ["person", "people", f"identifiers (whose each {which})"], shown)
    rows = []
    listed = ", ".join(f"'{name}'" for name in names) or "''"
    known = (
        "select table_name from information_schema.tables where table_catalog = {catalog} and table_schema = 'audiences' "
        f"and table_name in ({listed}) order by 1"
    )
    built = connection.execute(known.format(catalog="current_database()")).fetchall()
    for (name,) in connection.execute(known.format(catalog="'scratch'")).fetchall():
        if (name,) not in built:
            rows.append((name, "not built yet", None, None, None))
            continue
        found = connection.execute(f"""
            select (select count(*) from audiences."{name}"), (select count(*) from scratch.audiences."{name}"),
                (select count(*) from scratch.audiences."{name}" where profile_id not in (select profile_id from audiences."{name}")),
                (select count(*) from audiences."{name}" where profile_id not in (select profile_id from scratch.audiences."{name}"))
            """).fetchone()  # fmt: skip
        rows.append((name, *(found or ())))
    yield Rows("Audiences", ["audience", "members now", "then", "would enter", "would leave"], rows)
