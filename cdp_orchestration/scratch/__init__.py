"""A warehouse beside the real one, for a question: built by the same models from what had landed up to a batch.

    <home>/scratch/<name>/               a home of its own, gone when the question is answered
        landing/                         second names of the landed files (landing/snapshot.py)
        warehouse.duckdb                 on PostgreSQL instead a database of that name on the same server (databases.py)
        dbt/                             dbt's work, with the compiled SQL
        scratch.json                     what it holds; a folder that has it is never pulled into or delivered from

The real warehouse is read once, for how far a build had read, and never written: not its relations, changes, ledger or checks.
"""

from cdp_orchestration.scratch.build import Scratch, kept_scratch, scratch_warehouse
from cdp_orchestration.scratch.moment import Moment, moment
from cdp_orchestration.scratch.project import Project, checked_out

__all__ = ["Moment", "Project", "Scratch", "checked_out", "kept_scratch", "moment", "scratch_warehouse"]
