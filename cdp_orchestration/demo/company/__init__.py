"""The demo company: people, and what their systems say of them, the same bytes every time."""

from cdp_orchestration.demo.company.calendar import AS_OF, DAYS, SEED
from cdp_orchestration.demo.company.write import CompanySummary, write_company

__all__ = ["AS_OF", "DAYS", "SEED", "CompanySummary", "write_company"]
