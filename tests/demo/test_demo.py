"""The demo from end to end: what it shows is what the warehouse, the receiver and the generator's truth say."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pytest

from cdp_orchestration.demo.run import _refuse_to_go_back
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.home import Home
from cdp_orchestration.landing import Landing, Page, Record
from cdp_orchestration.project.manifest import audience_files
from tests.builds.test_days import AGREE, OBSERVED, seen
from tests.support.harness import PROJECT, Platform


@dataclass
class Demo(Platform):
    """What three runs of the demo printed, and what was there after the first. The second finds nothing to do; the third makes
    a whole pass all the same, because the note of the last one is gone."""

    first: CompletedProcess[str] = field(init=False)
    idle: CompletedProcess[str] = field(init=False)
    second: CompletedProcess[str] = field(init=False)
    between: dict[str, object] = field(init=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    platform = Demo(tmp_path_factory.mktemp("demo") / "demo")
    platform.first = platform.cdp("demo", "--people", "400", CDP_DEMO_HOME=str(platform.root))
    platform.between = observed(platform)
    platform.idle = platform.cdp("demo", "--people", "400", CDP_DEMO_HOME=str(platform.root))
    (platform.root / "last_pass.json").unlink()
    platform.second = platform.cdp("demo", "--people", "400", CDP_DEMO_HOME=str(platform.root))
    return platform


def observed(platform: Platform) -> dict[str, object]:
    """Every relation, the files that were dropped, and what the receiver holds and has counted."""
    files = sorted(file.name for file in (platform.root / "drop").iterdir())
    return {**seen(platform, AGREE | OBSERVED), "files": files, "receiver": held_by_the_receiver(platform)}


def held_by_the_receiver(platform: Platform) -> dict[str, object]:
    return json.loads((platform.root / "receiver" / "state.json").read_text())


def test_both_runs_go_well_and_show_what_happened(demo: Demo) -> None:
    for done in (demo.first, demo.idle, demo.second):
        assert done.returncode == 0, done.stdout + done.stderr + demo.log()
        for title in (
            "Records",
            "People",
            "Attributes",
            "Audiences",
            "Sent by this run",
            "What arrived",
            "Where to look next",
        ):
            assert title in done.stdout
        assert "Traceback" not in done.stdout + done.stderr


def test_the_second_run_lands_and_sends_nothing(demo: Demo) -> None:
    shown = demo.second.stdout
    assert "landed 0 records" in shown
    assert "newsletter_to_crm: 0 to add, 0 to update, 0 to remove" in shown
    runs = demo.rows("select sync, count(distinct run_id) from activation.deliveries group by all order by 1")
    assert runs == [("newsletter_to_crm", 1), ("vips_to_file", 1)]


def test_with_nothing_to_do_no_run_is_made(demo: Demo) -> None:
    assert "Nothing to do" in demo.idle.stdout
    assert "Nothing to do" not in demo.first.stdout + demo.second.stdout
    assert len(demo.rows("select build_id from staging.builds")) == 2


def drop_a_message(home: Path) -> None:
    (home / "inbox" / "new.jsonl").write_text(
        '{"type": "track", "event": "Seen", "userId": "C-1", "messageId": "new"}\n'
    )


def owe_what_was_accepted(home: Path) -> None:
    shutil.rmtree(home / "deliveries" / "ledger" / "vips_to_file")


def have_a_delivery_in_flight(home: Path) -> None:
    (home / "deliveries" / "in_flight").mkdir(exist_ok=True)
    (home / "deliveries" / "in_flight" / "vips_to_file.json").write_text("{}")


def have_changed_a_file(home: Path) -> None:
    note = json.loads((home / "last_pass.json").read_text())
    (home / "last_pass.json").write_text(json.dumps({**note, "files": "others"}))


def have_landed_more(home: Path) -> None:
    Landing(home / "landing").land("inbox", "messages", [Page([Record("{}", file="x.jsonl")], {})])


def build_elsewhere(home: Path) -> None:
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute("update staging.builds set build_id = 'another'")


JUDGED = """
import sys
from cdp_orchestration.demo.run import receiver_of
from cdp_orchestration.home import current_home
from cdp_orchestration.last_pass import is_still_good
with receiver_of(current_home()):
    print(is_still_good(current_home(), {as_of!r}), "dagster" in sys.modules, "dbt.cli" in sys.modules)
"""


@pytest.mark.parametrize(
    "change",
    [None, drop_a_message, owe_what_was_accepted, have_a_delivery_in_flight, have_changed_a_file, have_landed_more, build_elsewhere],
)  # fmt: skip
def test_what_a_pass_would_do_is_seen_without_dagster_and_dbt(
    demo: Demo, change: Callable[[Path], None] | None, tmp_path: Path
) -> None:
    home = Platform(tmp_path / "home")
    shutil.copytree(demo.root, home.root)
    if change:
        change(home.root)
    judged = subprocess.run([sys.executable, "-c", JUDGED.format(as_of="2026-11-01")], env=home.environment(), cwd=PROJECT,
                            capture_output=True, text=True, check=True)  # fmt: skip
    assert judged.stdout.split() == [str(change is None), "False", "False"]


def test_another_moment_is_a_whole_pass(demo: Demo) -> None:
    for as_of in ("2026-11-02", None):
        judged = demo.python("-c", JUDGED.format(as_of=as_of))
        assert judged.stdout.split()[0] == "False"


def test_the_second_run_changes_nothing(demo: Demo) -> None:
    """Not one request is sent."""
    assert all(demo.between.values())
    assert observed(demo) == demo.between


def test_every_audience_has_members_and_destinations_hold_what_they_should(demo: Demo) -> None:
    sizes = dict(demo.rows("select audience, count(*) from audiences.memberships where exited_at is null group by all"))
    # Of 400 people nobody comes so much more often than a month ago.
    assert sizes.keys() == {file.stem for file in audience_files(PROJECT)} - {"rising_visitors"}
    assert all(sizes.values())
    wanted = {key for (key,) in demo.rows("select row_key from activation.newsletter_to_crm")}
    state = json.dumps(held_by_the_receiver(demo))
    assert wanted
    assert all(key in state for key in wanted)
    (file,) = (demo.root / "drop").glob("*.jsonl")
    dropped = [json.loads(line) for line in file.read_text().splitlines()]
    assert {line["row_key"] for line in dropped} == {
        key for (key,) in demo.rows("select row_key from activation.vips_to_file")
    }


def test_the_money_is_right(demo: Demo) -> None:
    """Every customer whose person holds no other customer number has the lifetime value that the generator knows."""
    with open(demo.root / "truth" / "identifiers.csv", newline="") as file:
        owners = {
            row["identifier_value"]: row["person_id"]
            for row in csv.DictReader(file)
            if row["identifier_type"] == "user_id"
        }
    with open(demo.root / "truth" / "people.csv", newline="") as file:
        truth = {
            row["person_id"]: (float(row["lifetime_value_usd"]), int(row["order_count"]))
            for row in csv.DictReader(file)
        }
    ours = demo.rows(
        "select min(identifier_value), any_value(lifetime_value_usd), any_value(order_count) from identity.identifiers "
        "join attributes.lifetime_value using (profile_id) join attributes.order_count using (profile_id) "
        "where identifier_type = 'user_id' group by profile_id having count(*) = 1"
    )
    assert len(ours) > 50
    wrong = [row for row in ours if (round(row[1], 2), row[2]) != truth[owners[row[0]]]]
    assert len(wrong) <= len(ours) * 0.02, wrong[:5]  # shared browsers mix a few people up until limits exist


def test_stitching_is_precise(demo: Demo) -> None:
    shown = demo.first.stdout.split("pairwise precision", 1)[1].split()[0]
    assert float(shown) > 0.95


def test_status_profile_and_quarantine_show_the_demo(demo: Demo) -> None:
    status = demo.cdp("status")
    assert status.returncode == 0, status.stderr
    assert "newsletter_to_crm" in status.stdout
    assert "web.events" in status.stdout
    order = [status.stdout.index(title) for title in ("Last runs", "Syncs", "Records")]
    assert order == sorted(order)
    assert "identity/identifiers" not in status.stdout
    assert "identity/identifiers" in demo.cdp("status", "--all").stdout
    email = demo.rows("select email from profiles.profiles where email is not null order by 1 limit 1")[0][0]
    person = demo.cdp("profile", f"email={email.upper()}")
    assert person.returncode == 0, person.stderr
    for title in ("Identifiers", "Traits", "Consents", "Last events", "Attributes", "Audiences"):
        assert title in person.stdout
    assert demo.cdp("quarantine").stdout.count("unreadable") >= 2
    nobody = demo.cdp("profile", "email=nobody@nowhere.example")
    assert nobody.returncode == 1
    assert "Nobody holds" in nobody.stderr


def test_the_verbs_about_audiences_say_what_the_warehouse_holds(demo: Demo) -> None:
    members = demo.rows("select audience, profile_id from audiences.memberships where exited_at is null")
    shown = demo.cdp("audiences", "--overlap")
    assert shown.returncode == 0, shown.stderr
    for audience in {audience for audience, _ in members}:
        size = sum(other == audience for other, _ in members)
        assert f"{audience} {size} " in " ".join(shown.stdout.split())
    assert demo.cdp("export", "vips").returncode == 0
    [file] = (demo.root / "exports").glob("vips-*.csv")
    with open(file, newline="") as rows:
        assert {row["profile_id"] for row in csv.DictReader(rows)} == {
            who for audience, who in members if audience == "vips"
        }
    # A window of seven days ends where the last build's clock stood.
    preview = demo.cdp("preview", "cart_abandoners")
    assert preview.returncode == 0, preview.stderr
    assert "would enter 0 would leave 0" in " ".join(preview.stdout.split())


def test_the_past_is_refused_here(demo: Demo) -> None:
    done = demo.cdp("run", "--as-of", "2026-10-01", "--no-deliver")
    assert done.returncode == 1
    assert "lies before the last build" in done.stderr


def test_reset_removes_the_warehouse_and_a_run_brings_the_same_people_back(demo: Demo, tmp_path: Path) -> None:
    before = sorted(demo.rows("select * from identity.identifiers"))
    assert demo.cdp("reset", "--yes").returncode == 0
    assert not (demo.root / "warehouse.duckdb").exists()
    demo.run("--as-of", "2026-11-01", "--no-deliver")
    assert sorted(demo.rows("select * from identity.identifiers")) == before
    assert Platform(tmp_path / "nothing").cdp("reset", "--yes", "--everything").returncode == 0


def test_a_demo_home_that_went_past_the_demos_day_says_how_to_start_over(tmp_path: Path) -> None:
    home = Home(tmp_path / "demo")
    home.root.mkdir()
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("create schema staging")
        connection.execute("create table staging.builds as select timestamp '2026-11-01' as as_of")
    _refuse_to_go_back(home)
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("insert into staging.builds values (timestamp '2026-11-25 10:00:00')")
    with pytest.raises(NeedsAPerson, match="rm -r"):
        _refuse_to_go_back(home)
