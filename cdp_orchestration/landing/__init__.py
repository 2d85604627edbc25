"""What came in, raw: batches of records, published whole and never changed."""

from cdp_orchestration.landing.batch import SCHEMA, Batch
from cdp_orchestration.landing.batches import Landing
from cdp_orchestration.landing.records import Page, Record

__all__ = ["SCHEMA", "Batch", "Landing", "Page", "Record"]
