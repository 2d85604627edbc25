"""`cdp sync NAME` and the syncs of `cdp status`, over a small warehouse and folders as destinations."""

from pathlib import Path
from typing import Any

import pytest

from cdp_orchestration import connections as connected
from cdp_orchestration import syncs
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.queries import status
from tests.delivery.test_delivery import World, people

NODE: dict[str, Any] = {
    "name": "vips",
    "schema": "activation",
    "alias": "vips",
    "original_file_path": "vips.sql",
    "config": {"meta": {"sync": {"destination": "desk", "consent": "not_required", "identifiers": ["email"]}}},
}


class Deployment(World):
    """A World with destinations `desk` and `mailer`, and one sync, `vips`, to the desk."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> None:
        super().__init__(root / "home")
        self.defs = root / "defs"
        self.log = log
        self.nodes: dict[str, Any] = {"vips": NODE}
        monkeypatch.setattr(connected, "DEFS", self.defs)
        monkeypatch.setattr(syncs, "models_of", lambda home: self.nodes)
        monkeypatch.setenv("CDP_HOME", str(self.root))
        self.connect("desk", folder="desk")
        self.connect("mailer", folder="mailer")

    def connect(self, name: str, **fields: str) -> None:
        file = self.defs / "destinations" / name / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"  {field}: {value}" for field, value in {"kind": "file_drop", **fields}.items()]
        file.write_text("\n".join(["attributes:", *lines]))

    def push(self) -> None:
        sync = syncs.read_sync(self.nodes["vips"])
        self.deliver(connected.connections("destinations")[sync.destination].destination(self.home), sync)

    def shown(self) -> list[tuple[object, ...]]:
        return status._syncs(self.home)

    def let_go(self, at: str | None = None, name: str = "vips") -> list[str]:
        self.log.clear()
        syncs.let_go(self.home, name, at)
        return self.log.messages

    def remove_all(self, at: str | None = None) -> tuple[bool, list[str]]:
        self.log.clear()
        return syncs.remove_all(self.home, "vips", at), self.log.messages


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Deployment:
    deployment = Deployment(tmp_path, monkeypatch, caplog)
    deployment.want({**people(2), "k100": {"email": "0@x.io", "spend_usd": 1.0}})
    deployment.push()
    return deployment


def line(**numbers: Any) -> tuple[object, ...]:
    told = {"add": 0, "update": 0, "remove": 0, "withheld": 0, "shared": 1, **numbers}
    return (
        "vips",
        "desk",
        numbers["held"],
        *(told[n] for n in ("add", "update", "remove", "withheld", "shared")),
        "connected",
    )


def test_status_says_what_earlier_addresses_hold_until_it_is_let_go(at: Deployment) -> None:
    assert at.shown() == [line(held=2)]
    at.connect("desk", folder="desk-2")
    now, before = at.shown()
    assert now == line(held=0, add=2)
    assert (before[:3], before[3:8]) == (("vips", "desk", 2), (None,) * 5)
    assert before[8] == (
        "its earlier address: desk (CDP_HOME/desk) still holds these. `cdp sync vips --remove-all` or `--let-go`"
    )
    at.push()
    assert at.let_go() == [
        "vips: let go of 2 rows at desk (CDP_HOME/desk). They stay there, and are never removed by this platform."
    ]
    assert at.shown() == [line(held=2)], "what is wanted where it is was not let go"
    with pytest.raises(NeedsAPerson, match=r"nothing to let go.*--remove-all"):
        at.let_go()


def test_a_sync_without_a_model_is_shown_until_all_is_removed(at: Deployment) -> None:
    at.nodes = {}
    [gone] = at.shown()
    assert gone[:3] == ("vips", "desk", 2)
    assert str(gone[8]).startswith("its model is gone: desk (CDP_HOME/desk) still holds these")
    with pytest.raises(NeedsAPerson, match=r"vips: its model is gone.*--remove-all.*--let-go"):
        syncs.asset_of(at.home, "vips")
    done, said = at.remove_all()
    assert done
    assert said[-1] == "vips: 2 of 2 rows were removed from desk (CDP_HOME/desk)."
    assert at.shown() == []
    operations = [text for file in sorted((at.root / "desk").iterdir()) for text in file.read_text().splitlines()]
    assert [text.split('"')[3] for text in operations].count("remove") == 2


def test_or_until_it_is_let_go(at: Deployment) -> None:
    at.nodes = {}
    at.let_go()
    assert at.shown() == []
    assert len(list((at.root / "desk").iterdir())) == 1, "nothing was sent"
    at.nodes = {"vips": NODE}
    assert at.shown() == [line(held=0, add=2)], "should its model come back"


def test_removal_needs_the_destination_at_that_address_and_says_so(at: Deployment) -> None:
    at.nodes = {}
    at.connect("desk", folder="desk-2")
    done, [told] = at.remove_all()
    assert not done
    assert "2 rows stay at desk (CDP_HOME/desk): desk is at CDP_HOME/desk-2 now. Set its address back" in told
    (at.defs / "destinations" / "desk" / "defs.yaml").unlink()
    done, [told] = at.remove_all()
    assert not done
    assert "the destination 'desk' is no longer connected" in told
    assert "--let-go" in told
    at.connect("desk", folder="desk", waits_for="NOT_SET_YET")
    done, [told] = at.remove_all()
    assert (done, "set NOT_SET_YET" in told) == (False, True)
    assert len(at.shown()) == 1


def test_a_sync_that_went_to_another_destination_can_be_removed_from_the_first(at: Deployment) -> None:
    moved = {**NODE, "config": {"meta": {"sync": {**NODE["config"]["meta"]["sync"], "destination": "mailer"}}}}
    at.nodes = {"vips": moved}
    at.push()
    assert len(at.shown()) == 2
    done, said = at.remove_all(at="desk")
    assert (done, len(said)) == (True, 2)
    [now] = at.shown()
    assert now[:3] == ("vips", "mailer", 2)
    done, _ = at.remove_all()
    assert done
    assert at.shown()[0][2:6] == (0, 2, 0, 0), "and the next delivery adds what the model wants again"


def test_a_resync_is_owed_until_it_was_sent(at: Deployment) -> None:
    assert str(syncs.resync(at.home, "vips")) == "desk (CDP_HOME/desk)"
    assert at.shown() == [line(held=2, add=2)]
    at.push()
    assert at.shown() == [line(held=2)]


def test_an_older_ledger_of_a_sync_without_a_model_is_told_where_it_is(at: Deployment) -> None:
    from tests.delivery.test_delivery_places import as_93c4165_wrote_it

    as_93c4165_wrote_it(at)
    at.nodes = {}
    [gone] = at.shown()
    assert gone[1:3] == ("unknown", 2)
    done, [told] = at.remove_all()
    assert (done, "--at DESTINATION" in told) == (False, True)
    done, said = at.remove_all(at="desk")
    assert done, said
    assert at.shown() == []


def test_a_sync_that_nobody_knows_is_told_with_those_there_are(at: Deployment) -> None:
    for name in ("vip", "../vips", "_schema"):
        for verb in (lambda name: syncs.asset_of(at.home, name), lambda name: at.let_go(name=name)):
            with pytest.raises(NeedsAPerson, match=r"There is no sync .*Syncs: vips"):
                verb(name)
    assert sorted(path.name for path in (at.root / "deliveries" / "locks").iterdir()) == ["_schema.lock", "vips.lock"]


def test_while_the_destination_waits_status_speaks_of_the_address_used_last(at: Deployment) -> None:
    at.connect("desk", folder="desk", waits_for="NOT_SET_YET")
    assert at.shown() == [(*line(held=2)[:-1], "waits for NOT_SET_YET")]
