"""What came in, raw: batches of records, published whole and never changed."""

from cdp_orchestration.landing.batches import SCHEMA, Batch, Landing
from cdp_orchestration.landing.records import Page, Record

__all__ = ["SCHEMA", "Batch", "Landing", "Page", "Record"]
