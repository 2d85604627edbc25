"""Real data: every purchase of 23,570 CDNOW customers, connected as a source the way the README says."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from cdp_orchestration.landing import Landing
from tests.support.harness import PROJECT, SHARED, Platform
from tests.support.in_dagster import ran

FILE = SHARED / "data" / "CDNOW_master.txt"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the CDNOW file is not beside this checkout (shared/data)")

DEFS = """
type: cdp_orchestration.components.Source
attributes:
  kind: files
  path: cdnow
  streams:
    purchases: {glob: "*.txt", delimiter: whitespace, header: [customer_id, bought_on, cds, dollars], skip_lines: 1}
"""
MODEL = """
-- A purchase is a `track` named Order Completed. Equal lines are honest repeats. One row per landed line.
with records as (
    {{ landed(source('cdnow', 'purchases'), ['customer_id', 'bought_on', 'cds', 'dollars']) }}
),

dated as (
    select
        *,
        substring(bought_on, 1, 4) || '-' || substring(bought_on, 5, 2) || '-' || substring(bought_on, 7, 2) as occurred_text,
        row_number() over (partition by batch_seq, file, body order by record_no, item_no) as ordinal
    from records
)

select
    {{ record_columns() }},
    {{ keyless_message_id('cdnow', 'purchases', 'body', 'ordinal') }} as message_id,
    'track' as type,
    'Order Completed' as event_name,
    occurred_text,
    {{ to_utc('occurred_text') }} as occurred_at,
    {{ to_utc('occurred_text') }} is null as occurred_is_impossible,
    landed_at as received_at,
    {{ identifiers({'user_id': 'customer_id'}) }} as identifiers,
    {{ object({'cds': 'cds'}, numbers={'total': 'dollars'}) }} as properties,
    {{ unset(['record_key', 'record_hash', 'traits', 'context', 'consent', 'previous_id', 'missing_field', 'unusable_field']) }}
from dated
"""
TWIN = """
version: 2
sources:
  - name: cdnow
    schema: landing
    tables:
      - name: purchases
        identifier: cdnow__purchases
        config: {meta: {dagster: {asset_key: [cdnow, purchases]}}}
models:
  - name: stg_cdnow__purchases
    description: Purchases as orders. One row per landed line.
    config: {materialized: view}
"""
RFM = """
-- RFM in one call over a table of purchases. One row per person who ever ordered.
{{ rfm_of(ref('orders'), at='ordered_at', amount='amount_usd') }}
"""


def project_with_cdnow(folder: Path) -> Path:
    """A copy of the project with the source added."""
    copy = folder / "project"
    for name in ("cdp_orchestration", "dbt_project", "profiles"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dbt_project.yml", "pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, copy / name)
    defs = copy / "cdp_orchestration" / "defs" / "sources" / "cdnow"
    defs.mkdir()
    (defs / "defs.yaml").write_text(DEFS)
    staging = copy / "dbt_project" / "models" / "1_staging"
    (staging / "stg_cdnow__purchases.sql").write_text(MODEL)
    (staging / "stg_cdnow__purchases.yml").write_text(TWIN)
    arrivals = (staging / "arrivals.sql").read_text()
    known = "    ('crm', 'customers'): ref('stg_crm__customers'),\n"
    assert known in arrivals
    (staging / "arrivals.sql").write_text(
        arrivals.replace(known, known + "    ('cdnow', 'purchases'): ref('stg_cdnow__purchases'),\n")
    )
    (copy / "dbt_project" / "models" / "4_attributes" / "rfm_of_purchases.sql").write_text(RFM)
    return copy


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    folder = tmp_path_factory.mktemp("cdnow")
    platform = Platform(folder / "home", project_with_cdnow(folder))
    (platform.root / "cdnow").mkdir(parents=True)
    shutil.copy(FILE, platform.root / "cdnow" / FILE.name)
    platform.run("--no-deliver")
    return platform


def segments() -> dict[tuple[int, int], str]:
    """The name of each pair of recency and frequency, by the table of the docs."""
    page = (PROJECT / "docs" / "attributes.md").read_text()
    table = [line.strip("| ").split(" | ") for line in page[page.index("| recency | frequency 1") :].splitlines()[2:6]]
    return {
        (int(recency), frequency): name
        for scores, *names in table
        for recency in re.findall(r"\d", scores)
        for frequency, name in enumerate(names, 1)
    }


def test_rfm_is_what_pandas_computes_from_the_file(platform: Platform) -> None:
    """Both of the model that scores lifetime values, and of the one call over a table of orders: nobody has a refund here."""
    bought = pd.read_csv(
        FILE, sep=r"\s+", skiprows=1, names=["customer", "on", "cds", "dollars"], dtype={"customer": str}
    )
    bought["cents"] = (bought["dollars"] * 100).round().astype(int)
    people = bought.groupby("customer").agg(recency=("on", "max"), frequency=("on", "size"), monetary=("cents", "sum"))
    assert len(people) == 23570
    # A fifth of the people is below each step; pandas ranks from 1, equals by the lowest.
    for column in people:
        people[column] = ((people[column].rank(method="min") - 1) * 5 // len(people) + 1).astype(int)
    names = segments()
    people["segment"] = [names[pair] for pair in zip(people["recency"], people["frequency"], strict=True)]
    due = {row[0]: row[1:] for row in people.itertuples(name=None)}
    for model in ("rfm", "rfm_of_purchases"):
        ours = platform.rows(
            f"select identifier_value, recency, frequency, monetary, rfm_segment from attributes.{model} "
            "join identity.identifiers using (profile_id) where identifier_type = 'user_id'"
        )
        assert {row[0]: row[1:] for row in ours} == due
    counted = dict(platform.rows("select rfm_segment, count(*) from attributes.rfm group by all"))
    assert counted == people["segment"].value_counts().to_dict()
    assert len(counted) >= 8


def test_people_orders_and_revenue_equal_those_of_the_file(platform: Platform) -> None:
    lines = [line.split() for line in FILE.read_text().splitlines()[1:] if line.strip()]
    cents: dict[str, int] = {}
    orders: dict[str, int] = {}
    for customer, _, _, dollars in lines:
        cents[customer] = cents.get(customer, 0) + round(float(dollars) * 100)
        orders[customer] = orders.get(customer, 0) + 1
    assert (len(lines), len(cents), len(lines) - len({tuple(line) for line in lines})) == (69659, 23570, 255)

    assert platform.rows("select fate, count(*) from staging.intake group by all") == [("accepted", 69659)]
    assert platform.rows("select count(*) from profiles.profiles") == [(23570,)]
    ours = {
        customer: (round(value * 100), count)
        for customer, value, count in platform.rows(
            "select identifier_value, lifetime_value_usd, order_count from identity.identifiers "
            "join attributes.lifetime_value using (profile_id) join attributes.order_count using (profile_id)"
        )
    }
    assert ours == {customer: (cents[customer], orders[customer]) for customer in cents}
    # The same file again, touched and under its old name: nothing lands twice.
    (platform.root / "cdnow" / FILE.name).touch()
    [again] = ran(platform, "pull")
    assert "SUCCESS True" in again
    assert "STARTED cdnow__purchases" in again
    assert sum(batch.records for batch in Landing(platform.root / "landing").batches()) == 69659
