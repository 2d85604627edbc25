"""The Dagster code location: everything under defs/, run in one process (DuckDB has one writer; steps start at once)."""

from pathlib import Path

import dagster as dg

from cdp_orchestration.home import current_home

current_home()


@dg.definitions
def defs() -> dg.Definitions:
    folder = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(folder, dg.Definitions(executor=dg.in_process_executor))
