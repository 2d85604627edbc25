"""Bad input gets a message that names what and where, or a quarantine row; good rows go on and the counts add up."""

import gzip
import shutil
import sqlite3
from pathlib import Path

import pytest

from cdp_orchestration.connections import connection, connections
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.project.variables import project_variables
from tests.support.harness import PROJECT, Platform


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A home whose sources hold all kinds of bad input beside good rows."""
    platform = Platform(tmp_path_factory.mktemp("messy"))
    good = {
        "type": "identify",
        "userId": "good",
        "traits": {"email": "good@x.example"},
        "timestamp": "2026-10-01T00:00:00Z",
    }
    platform.drop(
        "events.jsonl",
        [
            good,
            '{"type":"track","event":"Cut o',
            {"type": "track", "event": "E", "userId": "u", "timestamp": "2026-13-45T99:00:00Z"},
            {"type": "track", "userId": "u"},
            {"type": "track", "event": "E"},
            {"type": "track", "event": "E", "userId": "u", "timestamp": "2099-01-01T00:00:00Z"},
            {"type": "page", "userId": "u", "sentAt": "yesterday"},
            "[1, 2]",
        ],
    )
    (platform.root / "inbox" / "broken.jsonl.gz").write_bytes(
        gzip.compress(b'{"type":"page","userId":"u"}\n' * 50)[:-20]
    )
    (platform.root / "inbox" / "notes.txt").write_text("not for the platform\n")
    crm = platform.root / "company" / "crm"
    crm.mkdir(parents=True)
    (crm / "old customers.csv").write_text("customer_id\nC0\n")
    header = "customer_id,email,phone,first_name,last_name,country,loyalty_tier,birth_date,email_opt_in,updated_at"
    (crm / "customers-2026-10-01.csv").write_text(
        f"{header}\nC1,c1@x.example,,A,B,PT,gold,1990-01-01,yes,2026-10-01 00:00:00\nC2,too,few\n,c3@x.example,,A,B,PT,gold,,no,\n"
    )
    engagement = platform.root / "company" / "email"
    engagement.mkdir()
    (engagement / "engagement-1.parquet").write_bytes(b"PAR1 this is no parquet file PAR1")
    database = sqlite3.connect(platform.root / "company" / "shop.db")
    database.execute(
        "create table orders (order_id, customer_id, email, phone, anonymous_id, destination, amount, currency, status, ordered_at, updated_at)"
    )
    database.execute(
        "insert into orders values ('o1','C1',null,null,null,'Rome','10.50','USD','paid','2026-10-01T00:00:00Z','2026-10-01T00:00:00Z')"
    )
    database.execute(
        "insert into orders values ('o2','C1',null,null,null,'Rome',null,'USD','paid','2026-10-01T00:00:00Z','2026-10-01T00:00:00Z')"
    )
    database.execute(
        "insert into orders values ('o3','C1',null,null,null,'Rome','ten','USD','paid','2026-10-01T00:00:00Z','2026-10-01T00:00:00Z')"
    )
    database.commit()
    platform.result = platform.cdp("run", "--as-of", "2026-11-20")  # type: ignore[attr-defined]
    return platform


def test_what_can_be_read_goes_on_and_the_failed_source_is_named(messy: Platform) -> None:
    done = messy.result  # type: ignore[attr-defined]
    assert done.returncode == 1  # the shop has no table `refunds`
    assert "refunds" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert messy.rows("select count(*) from profiles.profiles where email = 'good@x.example'") == [(1,)]
    assert messy.rows("select lifetime_value_usd from attributes.lifetime_value") == [(10.5,)]


@pytest.mark.parametrize(
    ("stream", "scope", "reason", "field"),
    [
        ("inbox.messages", "record", "unreadable", None),
        ("inbox.messages", "record", "impossible_timestamp", "timestamp"),
        ("inbox.messages", "record", "missing_field", "event"),
        ("inbox.messages", "record", "no_identifier", None),
        ("inbox.messages", "record", "future_timestamp", "timestamp"),
        ("inbox.messages", "record", "not_an_object", None),
        ("inbox.messages", "field", "impossible_timestamp", "sentAt"),
        ("crm.customers", "record", "unreadable", None),
        ("crm.customers", "record", "missing_field", "customer_id"),
        ("email.engagement", "record", "unreadable", None),
        ("shop.orders", "record", "missing_field", "amount"),
    ],
)
def test_bad_records_are_in_quarantine_with_their_reason(
    messy: Platform, stream: str, scope: str, reason: str, field: str | None
) -> None:
    found = messy.rows(
        f"select count(*) from staging.quarantine where source || '.' || stream = '{stream}' and scope = '{scope}' "
        f"and reason = '{reason}' and field is not distinct from {'null' if field is None else repr(field)}"
    )
    assert found[0][0] >= 1


def test_files_that_no_stream_reads_are_named(messy: Platform) -> None:
    done = messy.result  # type: ignore[attr-defined]
    assert "inbox: 1 file is not read: notes.txt (its first line is no JSON object)" in done.stdout
    assert "crm: 1 file is not read: old customers.csv (it matches no stream's glob)" in done.stdout
    shown = messy.cdp("status").stdout
    assert "Files that no stream reads" in shown
    assert "notes.txt" in shown
    assert "old customers.csv" in shown


def test_unreadable_files_are_named(messy: Platform) -> None:
    details = " ".join(
        row[0] for row in messy.rows("select detail from staging.quarantine where reason = 'unreadable'")
    )
    assert "broken.jsonl.gz" in details
    assert "engagement-1.parquet" in details
    shown = messy.cdp("quarantine")
    assert shown.returncode == 0
    assert "impossible_timestamp" in shown.stdout
    places = {tuple(line.split()[:3]) for line in shown.stdout.splitlines()}
    assert ("events.jsonl", "line", "2") in places  # as its reader said
    assert ("events.jsonl", "record", "3") in places


def test_records_add_up(messy: Platform) -> None:
    landed = messy.rows("select sum(records) from landing._batches")[0][0]
    fates = dict(messy.rows("select fate, count(*) from staging.intake group by all"))
    assert landed == sum(fates.values())
    assert (
        fates["quarantined"]
        == messy.rows("select count(distinct (batch_id, record_no)) from staging.quarantine where scope = 'record'")[0][
            0
        ]
    )


def test_an_unknown_key_names_file_field_and_remedy(tmp_path: Path) -> None:
    folder = tmp_path / "sources" / "till"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(
        "type: cdp_orchestration.components.Source\nattributes: {kind: files, path: x, pth: y, streams: {a: {}}}\n"
    )
    with pytest.raises(NeedsAPerson, match=r"till/defs\.yaml: unknown field 'pth': remove it or correct"):
        connections("sources", tmp_path)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(NeedsAPerson, match=r"x/defs\.yaml: field 'kind' is 'fles'; use one of files, sql"):
        connection("sources", "x", {"kind": "fles"}, "x/defs.yaml")


def test_a_missing_secret_names_file_field_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_WEBHOOK_TOKEN", raising=False)
    monkeypatch.setenv("CRM_WEBHOOK_URL", "http://127.0.0.1:9/")
    crm = connections("destinations")["crm"]
    with pytest.raises(NeedsAPerson, match=r"destinations/crm/defs\.yaml: field 'token' .*CRM_WEBHOOK_TOKEN.*not set"):
        crm.rendered()


def test_a_refused_database_connection_is_told_without_the_password(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    done = platform.cdp("run", SHOP_DATABASE_URL="postgresql+psycopg2://me:hunter2@127.0.0.1:9/shop")
    assert done.returncode == 1
    assert "127.0.0.1" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr + platform.log()
    assert platform.rows("select count(*) from staging.builds") == [(1,)]


def copied_project(folder: Path) -> Path:
    copy = folder / "project"
    for name in ("cdp_orchestration", "dbt_project", "profiles"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dbt_project.yml", "pyproject.toml", "dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, copy / name)
    return copy


def test_two_audiences_of_one_name_are_told_with_both_files(tmp_path: Path) -> None:
    project = copied_project(tmp_path)
    models = project / "dbt_project" / "models"
    (models / "4_attributes" / "vips.sql").write_text("select 'x' as profile_id")
    done = Platform(tmp_path / "home", project).cdp("check")
    assert done.returncode == 1
    assert "5_audiences/vips.sql" in done.stderr
    assert "4_attributes/vips.sql" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sync_without_consent_is_told_and_holds_only_itself(tmp_path: Path) -> None:
    project = copied_project(tmp_path)
    twin = project / "dbt_project" / "models" / "6_activation" / "vips_to_file.yml"
    lines = [line for line in twin.read_text().splitlines() if "consent: not_required" not in line]
    twin.write_text("\n".join(lines))
    platform = Platform(tmp_path / "home", project)
    checked = platform.cdp("check")
    assert checked.returncode == 1
    assert "6_activation/vips_to_file.yml" in checked.stderr
    assert "consent: not_required" in checked.stderr
    platform.drop("a.jsonl", [{"type": "identify", "userId": "u", "traits": {"email": "u@x.example"}}])
    done = platform.cdp("run")
    assert done.returncode == 1
    assert "vips_to_file" in done.stderr
    assert platform.rows("select count(*) from profiles.profiles") == [(1,)]


def test_an_impossible_as_of_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = Platform(tmp_path).cdp("run", "--as-of", "the other day")
    assert done.returncode == 1
    assert "ISO 8601" in done.stderr


@pytest.mark.parametrize(
    ("vars_", "told"),
    [
        ("[catalogue]", "vars must be a mapping"),
        ("{catalogue: []}", r"vars\.catalogue must be a mapping"),
        ("{catalogue: {trait: {}}}", r"vars\.catalogue: trait: the catalogue has traits and properties only"),
        ("{catalogue: {properties: [price]}}", r"vars\.catalogue\.properties must be a mapping"),
        (
            "{catalogue: {properties: {price: {type: text, from: 3}}}}",
            r"vars\.catalogue\.properties: price: from is 3; write",
        ),
        (
            "{catalogue: {traits: {tier: {type: text, from: []}}}}",
            r"vars\.catalogue\.traits: tier: from is \[\]; write",
        ),
        ("{catalogue: {traits: {tier: {type: text, from: ['']}}}}", r"tier: from is \[''\]; write"),
        ("{sources: [web]}", r"vars\.sources must be a mapping"),
        ("{identity: text}", r"vars\.identity must be a mapping"),
        ("{catalogue: {traits: {tier: text, tier: number}}}", "line 1: 'tier' stands twice"),
        ("{catalogue: {traits: {", "is not valid YAML"),
    ],
)
def test_variables_of_another_shape_name_file_field_and_remedy(tmp_path: Path, vars_: str, told: str) -> None:
    (tmp_path / "dbt_project.yml").write_text(f"vars: {vars_}\n")
    with pytest.raises(NeedsAPerson, match=told) as caught:
        project_variables(tmp_path)
    assert str(caught.value).startswith("dbt_project.yml")


@pytest.mark.parametrize(
    "text", ["", "vars:\n", "vars: {catalogue: {traits: , properties: }}\n", "vars: {of_ours: 3}\n"]
)
def test_variables_that_are_not_there_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "dbt_project.yml").write_text(text)
    assert not project_variables(tmp_path).get("sources")
