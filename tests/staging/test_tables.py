"""A stream that is a table: landed, typed and joined; nothing of it lost, and increments as a rebuild. The example of
docs/mapping.md, as it is written there."""

import json
import re
from pathlib import Path

from cdp_orchestration.landing import Landing, Page, Record
from tests.identity.test_identity import copy_of_the_project, prepare
from tests.support.harness import PROJECT, Platform, dbt

PAGE = PROJECT / "docs" / "mapping.md"
STAGING = "stg_till__products"


def examples() -> dict[str, str]:
    """The files that the page shows, by path."""
    blocks = re.findall(r"```(?:sql|yaml)\n(?:--|#) (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(blocks)


def land(home: Path, source: str, stream: str, *records: object) -> None:
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    Landing(home / "landing").land(source, stream, [Page([Record(text, file="f") for text in texts], {})])


def build(project: Path, home: Path, without: list[str], *select: str) -> None:
    done = dbt(project, home, "build", "--exclude-resource-type", *without, "--select", *select)
    assert done.returncode == 0, done.stdout[-4000:]


FIRST = [
    {"sku": "p1", "name": "Bread", "price": "$2.50", "category": "food", "changed": "2026-10-01"},
    {"sku": 2.0, "name": "Soap", "price": 3, "category": "home", "changed": "2026-10-01T10:00:00Z"},
    {"sku": "p3", "name": ["Tea"], "price": "free", "category": "food", "changed": "soon"},
    {"sku": "  ", "name": "Nothing"},
    {"sku": {"a": 1}, "name": "Object"},
    "[1]",
]
SECOND = [
    {"sku": "p1", "name": "Bread", "price": 2.8, "category": "food", "changed": "2026-10-03"},
    {"sku": "p1", "name": "Old bread", "price": 2.1, "category": "food", "changed": "2026-09-01"},
    {"sku": "2", "name": "Soap", "price": 3.5, "category": "home", "changed": "2026-09-01"},
    {"name": "no key"},
]
STATE = "select sku, name, price, category, changed_at, batch_seq, record_no, versions, last_batch_seq from staging.stg_till__products order by sku"
ASIDE = ("select batch_seq, record_no, scope, reason, field, detail, file_record_no from staging.quarantine "
         "where source = 'till' order by 1, 2, 5")  # fmt: skip


def test_a_table_keeps_the_latest_version_and_loses_nothing(tmp_path: Path) -> None:
    project, home = copy_of_the_project(tmp_path / "project"), tmp_path / "home"
    for path, text in examples().items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    platform = Platform(home, project)
    assert f"dbt_project/models/1_staging/{STAGING}.sql" in examples()
    arrivals = project / "dbt_project" / "models" / "1_staging" / "arrivals.sql"
    line = "    ('till', 'receipts'): ref('stg_till__receipts'),\n"
    arrivals.write_text(arrivals.read_text().replace("{% set streams = {\n", "{% set streams = {\n" + line))
    prepare(home)
    Landing(home / "landing").prepare("till", "receipts")
    land(home, "till", "products", *FIRST)
    bought = [
        {"receipt_no": n, "card": "c1", "sku": sku, "total": 5, "sold_at": "2026-10-05"}
        for n, sku in enumerate(["p1", "2", "p1", "p9"])
    ]
    land(home, "till", "receipts", *bought)
    build(project, home, ["unit_test", "test"], "+food_bought", "intake")
    assert [(*row[:4], row[7]) for row in platform.rows(STATE)] == [
        ("2", "Soap", 3.0, "home", 1), ("p1", "Bread", 2.5, "food", 1), ("p3", None, None, "food", 1),
    ]  # fmt: skip
    assert platform.rows("select food_bought from attributes.food_bought") == [(2,)]
    first_aside = [
        (1, 2, "field", "impossible_timestamp", "changed", "soon", 3), (1, 2, "field", "wrong_type", "name", '["Tea"]', 3),
        (1, 2, "field", "wrong_type", "price", '"free"', 3), (1, 3, "record", "missing_field", "sku", None, 4),
        (1, 4, "record", "missing_field", "sku", '[{"field":"sku","reason":"not_a_text_or_number","detail":"{\\"a\\":1}"}]', 5),
        (1, 5, "record", "not_an_object", None, None, 6),
    ]  # fmt: skip
    assert platform.rows(ASIDE) == first_aside

    land(home, "till", "products", *SECOND)
    these = ["builds", "current_build", "quarantine", "intake", STAGING]
    build(project, home, ["unit_test"], *these)
    grown, aside = platform.rows(STATE), platform.rows(ASIDE)
    assert [(*row[:4], row[7]) for row in grown] == [
        ("2", "Soap", 3.0, "home", 2), ("p1", "Bread", 2.8, "food", 3), ("p3", None, None, "food", 1),
    ]  # fmt: skip
    assert aside == [*first_aside, (3, 3, "record", "missing_field", "sku", None, 4)]
    build(project, home, ["unit_test"], *these)
    assert (platform.rows(STATE), platform.rows(ASIDE)) == (grown, aside), "again, with nothing new"
    build(project, home, ["unit_test"], *these, "--full-refresh")
    assert (platform.rows(STATE), platform.rows(ASIDE)) == (grown, aside), "a rebuild"
    checked = platform.cdp("check")
    assert checked.returncode == 0, checked.stderr
    shown = platform.cdp("status").stdout
    assert [line.split() for line in shown.splitlines() if "till.products" in line][-1] == [
        "till.products",
        "10",
        "3",
        "3",
        "4",
        "table",
    ]
