"""`cdp check --data`: do all checks hold over everything that was ever built? A build looks at its own rows alone."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from cdp_orchestration.errors import NeedsAPerson, disk_full, is_disk_full
from cdp_orchestration.home import Home
from cdp_orchestration.project.dbt_command import run_dbt
from cdp_orchestration.project.manifest import current_manifest
from cdp_orchestration.warehouse import Warehouse
from cdp_orchestration.warehouse.loading import load_landing

BROKEN_PROMISE = "broken promise:"  # as macros/promises.sql logs it


@dataclass
class DataChecks:
    """How many checks hold, and those that don't: name and what is broken. `warnings` hold no push."""

    passed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)


def check_data(home: Home) -> DataChecks:
    """Run every check of the project over the whole warehouse. What fails looks at everything in each build until it passes.

    Raises NeedsAPerson where nothing was built yet, or in dbt's words where it could not run.
    """
    if not Warehouse(home).exists():
        raise NeedsAPerson("Nothing is built yet: `cdp run` builds it.")
    load_landing(home, current_manifest(home))
    with Warehouse(home).writing():
        done = run_dbt(
            home, home.dbt_target / "check", "--log-format", "json", "test", "--exclude-resource-type", "unit_test"
        )
    found, said = results(done.stdout.splitlines())
    if done.returncode and not found.failed:
        if is_disk_full(done.stdout + done.stderr):
            raise disk_full(home.root)
        raise NeedsAPerson(f"dbt could not check the data. It says:\n{said or done.stderr.strip()}")
    return found


def results(lines: Iterable[str]) -> tuple[DataChecks, str]:
    """What dbt's events in JSON, one a line, say of its tests; and its errors in its own words."""
    found, errors, broken = DataChecks(), list[str](), dict[str, list[str]]()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            errors.append(line)
            continue
        kind, data = event["info"]["name"], event["data"]
        name = data.get("node_info", {}).get("node_name", "")
        if kind == "JinjaLogInfo" and data["msg"].startswith(BROKEN_PROMISE):
            broken.setdefault(name, []).append(data["msg"].removeprefix(BROKEN_PROMISE).strip())
        elif kind == "LogTestResult":
            why = "; ".join(broken.get(name, [])) or f"{data['num_failures']:,} rows break it"
            if data["status"] == "pass":
                found.passed += 1
            elif data["status"] == "warn":
                found.warnings[data["name"]] = why
            else:
                found.failed[data["name"]] = why
        elif kind == "RunResultError" and name:
            found.failed[name] = "; ".join(broken.get(name, [])) or data["msg"].strip()
        elif event["info"]["level"] == "error":
            errors.append(event["info"]["msg"])
    return found, "\n".join(errors).strip()
