"""`cdp new`: what it writes is in order as it is, and nothing of what is there changes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cdp_orchestration.delivery.declared import fitted
from cdp_orchestration.delivery.sync import parse_sync
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.kinds import DESTINATIONS, SOURCES
from cdp_orchestration.queries.checks import _models_without_test
from cdp_orchestration.scaffold import new as making
from cdp_orchestration.scaffold import templates
from cdp_orchestration.scaffold.kinds import defs_of
from cdp_orchestration.scaffold.new import ARRIVALS, Made, Wish, new
from tests.audiences.test_audience_verbs import RELATIONS, project
from tests.support.harness import PROJECT, Platform

MODELS = "dbt_project/models"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The models and connections of the checkout, without the code."""
    shutil.copytree(PROJECT / "dbt_project", tmp_path / "dbt_project")
    shutil.copytree(PROJECT / "cdp_orchestration" / "defs", tmp_path / "cdp_orchestration" / "defs",
                    ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    return tmp_path


def files(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def names(made: Made) -> list[str]:
    return [str(file) for file in made.files]


def test_everything_new_passes_the_check(tmp_path: Path) -> None:
    """One of each kind, in a copy of the checkout; two of them by the verb."""
    platform = Platform(tmp_path / "home", project(tmp_path))
    for wish in (["audience", "keen_readers"], ["source", "from_sql", "--kind", "sql"]):
        done = platform.cdp("new", *wish)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("wrote ")
    refused = platform.cdp("new", "audience", "keen_readers")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    new(platform.project, "attribute", Wish("mails_30d"))
    new(platform.project, "sync", Wish("keen_readers_to_crm"))
    new(platform.project, "source", Wish("from_files", kind="files", stream="opens"))
    for kind in templates.DESTINATION:
        new(platform.project, "destination", Wish(f"to_{kind}", kind=kind))
    new(platform.project, "sync", Wish("second", audience="vips", destination="to_file_drop"))
    checked = platform.cdp("check")
    assert checked.returncode == 0, checked.stderr
    with duckdb.connect(str(platform.root / "warehouse.duckdb")) as connection:
        connection.execute(RELATIONS)
        connection.execute("create schema profiles")
        connection.execute("create table profiles.profiles as select 'a' as profile_id, true as is_known")
        connection.execute("insert into profiles.profiles values ('b', false), ('c', true)")
    shown = platform.cdp("preview", "keen_readers")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"members +2\n", shown.stdout)
    assert re.search(r"would enter +2\n", shown.stdout)


@pytest.mark.parametrize(
    ("what", "name", "written"),
    [
        ("attribute", "mails_30d", [f"{MODELS}/4_attributes/mails_30d.sql", f"{MODELS}/4_attributes/mails_30d.yml"]),
        ("audience", "keen", [f"{MODELS}/5_audiences/keen.sql", f"{MODELS}/5_audiences/keen.yml"]),
        ("sync", "vips_to_crm", [f"{MODELS}/6_activation/vips_to_crm.sql", f"{MODELS}/6_activation/vips_to_crm.yml"]),
        ("source", "till", ["cdp_orchestration/defs/sources/till/defs.yaml", f"{MODELS}/1_staging/stg_till__records.sql",
                            f"{MODELS}/1_staging/stg_till__records.yml"]),
        ("destination", "mailer", ["cdp_orchestration/defs/destinations/mailer/defs.yaml"]),
    ],
)  # fmt: skip
def test_new_files_stand_where_their_like_stand(root: Path, what: str, name: str, written: list[str]) -> None:
    before = files(root)
    made = new(root, what, Wish(name))
    assert names(made) == written
    after = files(root)
    assert {file for file in after if after[file] != before.get(file)} == {*written, *map(str, made.changed)}
    assert set(made.changed) == ({ARRIVALS} if what == "source" else set())
    assert made.next
    assert all(
        "[[" not in after[file].decode() and "]]" not in after[file].decode().replace("]]}", "") for file in written
    )
    with pytest.raises(NeedsAPerson, match="is there already: choose another name"):
        new(root, what, Wish(name))
    assert files(root) == after


def test_a_stream_takes_its_place_in_the_list(root: Path) -> None:
    before = (root / ARRIVALS).read_text().splitlines()
    for name, stream in (("aaa", "x"), ("shop", "carts"), ("zzz", "x"), ("mail_tool", "opens")):
        shutil.rmtree(root / "cdp_orchestration" / "defs" / "sources" / name, ignore_errors=True)
        for file in (root / MODELS).rglob(f"stg_{name}__*"):
            file.unlink()
        new(root, "source", Wish(name, stream=stream))
    after = (root / ARRIVALS).read_text().splitlines()
    lines = [line for line in after if "ref('stg_" in line]
    assert lines == sorted(lines)
    assert [line for line in after if line not in before] == [
        f"    ('{name}', '{stream}'): ref('stg_{name}__{stream}'),"
        for name, stream in (("aaa", "x"), ("mail_tool", "opens"), ("shop", "carts"), ("zzz", "x"))
    ]
    assert [line for line in after if line in before] == before


def test_a_list_of_another_shape_is_left_to_a_person(root: Path) -> None:
    theirs = (root / ARRIVALS).read_text().replace("ref('stg_web__events'),", "ref('stg_web__events'),  {# ours #}")
    (root / ARRIVALS).write_text(theirs)
    made = new(root, "source", Wish("till"))
    assert (root / ARRIVALS).read_text() == theirs
    assert any("('till', 'records'): ref('stg_till__records')," in step for step in made.next)


@pytest.mark.parametrize(
    ("what", "wish", "told"),
    [
        ("segment", Wish("keen"), "there is no such thing to add. Use one of attribute, audience, sync, source, destination"),
        ("audience", Wish("vips"), "5_audiences/vips.sql is there already"),
        ("attribute", Wish("vips"), "5_audiences/vips.sql is there already"),
        ("audience", Wish("changes"), "changes.sql is there already"),
        ("attribute", Wish("identity_overrides"), "identity_overrides.csv is there already"),
        ("audience", Wish("Keen"), "is no name that a model or folder can have"),
        ("audience", Wish("keen-people"), "is no name"),
        ("audience", Wish("7days"), "is no name"),
        ("audience", Wish("keen\n"), "is no name"),
        ("audience", Wish("../keen"), "is no name"),
        ("audience", Wish(""), "is no name"),
        ("audience", Wish("k" * 41), "is no name"),
        ("attribute", Wish("order"), "is a word of SQL"),
        ("attribute", Wish("profile_id"), "a column that every model has"),
        ("audience", Wish("keen", kind="files"), "--kind does not go with audience"),
        ("destination", Wish("mailer", stream="x"), "--stream does not go with destination"),
        ("sync", Wish("keen"), "the name does not say which audience"),
        ("sync", Wish("keen_to_crm"), "'keen' is no audience"),
        ("sync", Wish("vips_to_mailer"), "'mailer' is no destination: .* There are: crm, sales_desk"),
        ("sync", Wish("changes_to_crm"), "'changes' is no audience"),
        ("source", Wish("till", kind="pigeon"), "--kind pigeon: there is no such kind of source. Use one of files, sql"),
        ("destination", Wish("mailer", kind="files"), r"there is no such kind of destination\. Use one of braze, .*, webhook"),
        ("source", Wish("shop"), "is there already"),
        ("source", Wish("identity"), "a name of the platform's own"),
        ("source", Wish("cdp"), "a name of the platform's own"),
        ("source", Wish("a__b"), "two underscores"),
        ("source", Wish("till", stream="Receipts"), "is no name"),
        ("destination", Wish("crm"), "is there already"),
    ],
)  # fmt: skip
def test_what_is_refused_writes_nothing(root: Path, what: str, wish: Wish, told: str) -> None:
    before = files(root)
    with pytest.raises(NeedsAPerson, match=told) as refusal:
        new(root, what, wish)
    assert "\n" not in str(refusal.value).replace(repr(wish.name), "")
    assert files(root) == before


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_a_full_disk_leaves_nothing_half_written(root: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    before, folders = files(root), sorted(root.rglob("*"))
    whole: Callable[[Path], Any] = making.whole_file
    written = []

    def full(path: Path) -> Any:
        written.append(path)
        if len(written) == fails_at:
            raise OSError(28, "No space left on device", str(path))
        return whole(path)

    monkeypatch.setattr(making, "whole_file", full)
    with pytest.raises(OSError, match="No space left"):
        new(root, "source", Wish("till"))
    assert files(root) == before
    assert sorted(root.rglob("*")) == folders


def test_another_kind_begins_with_the_fields_that_it_must_have(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind without a template: its required texts come from the environment; one that needs more is left to a person."""
    monkeypatch.delitem(templates.DESTINATION, "webhook")
    monkeypatch.delitem(templates.SOURCE, "sql")
    made = new(root, "destination", Wish("mailer", kind="webhook"))
    [text] = made.files.values()
    assert "kind: webhook\n  url: '{{ env.MAILER_URL }}'\n" in text
    with pytest.raises(NeedsAPerson, match=r"by hand .*streams[.]till"):
        new(root, "source", Wish("till", kind="sql", stream="till"))
    assert set(templates.SOURCE) <= set(SOURCES)
    assert set(templates.DESTINATION) <= set(DESTINATIONS)


@pytest.mark.parametrize("kind", sorted(DESTINATIONS))
def test_a_sync_to_any_kind_begins_with_what_that_kind_asks_for(root: Path, kind: str) -> None:
    folder = root / "cdp_orchestration" / "defs" / "destinations" / "there"
    folder.mkdir()
    made = defs_of("destinations", kind, "there", "", "there/defs.yaml")
    (folder / "defs.yaml").write_text(made)
    [yml] = [text for file, text in new(root, "sync", Wish("vips_to_there")).files.items() if file.suffix == ".yml"]
    [model] = yaml.safe_load(yml)["models"]
    sync = parse_sync("vips_to_there", "activation.vips_to_there", model["config"]["meta"]["sync"], "x.yml")
    assert fitted(sync, DESTINATIONS[kind]).destination == "there"


def test_a_model_without_its_test_is_told() -> None:
    def node(name: str, folder: str, patch: str | None = None) -> dict[str, Any]:
        return {"resource_type": "model", "name": name, "fqn": ["cdp", folder, name], "patch_path": patch,
                "original_file_path": f"models/{folder}/{name}.sql"}  # fmt: skip

    nodes = {
        "m.bare": node("bare", "5_audiences"),
        "m.twin": node("twin", "4_attributes", "cdp://models/4_attributes/twin.yml"),
        "m.good": node("good", "6_activation", "cdp://models/6_activation/good.yml"),
        "m.about": node("sizes", "about"),
        "t": {"resource_type": "test", "attached_node": "m.good", "test_metadata": {"name": "is_sync"}},
    }
    bare, twin = _models_without_test({"nodes": nodes})
    assert bare.startswith("models/5_audiences/bare.sql: no .yml names this model")
    assert "the test is_audience" in bare
    assert twin.startswith("models/4_attributes/twin.yml: model 'twin' has no test is_attribute")
