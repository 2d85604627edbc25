"""The landing's index saves opening manifests, and is made again whenever it is not what they say."""

import os
import time
from pathlib import Path

import pytest

from cdp_orchestration.landing import Landing
from cdp_orchestration.landing import index as landing_index
from tests.landing.kept import STREAMS, Kept, compact


def settled(folder: Path) -> None:
    """As if the folder's last change had been a while ago."""
    os.utime(folder, ns=(time.time_ns() - 10**10,) * 2)


def test_a_pull_opens_no_manifest_that_it_has_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    folder = kept.home.landing / "till" / "rows"
    settled(folder)
    kept.check_python()
    opened: list[str] = []
    real = landing_index.read_manifests
    monkeypatch.setattr(landing_index, "read_manifests", lambda path: opened.append(path.name) or real(path))  # type: ignore[func-returns-value]
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail(f"lists {path}"))
    assert Landing(kept.home.landing).state("till", "rows") == {"at": 1}
    monkeypatch.undo()
    monkeypatch.setattr(landing_index, "read_manifests", lambda path: opened.append(path.name) or real(path))  # type: ignore[func-returns-value]
    kept.land(2)
    assert kept.landing.state("till", "rows") == {"at": 2}
    assert len(opened) == 1


@pytest.mark.parametrize("harm", ["deleted", "overwritten", "another version's", "restored"])
def test_the_index_is_made_again_when_it_is_not_what_manifests_say(tmp_path: Path, harm: str) -> None:
    kept = Kept(tmp_path)
    for size in (3, 4):
        kept.land(size)
    compact(kept)
    kept.land(1)
    kept.check_python()
    index = kept.home.landing / ".index.sqlite"
    if harm == "deleted":
        index.unlink()
    elif harm == "overwritten":
        index.write_bytes(b"this is no database, however long it is" * 1000)
    elif harm == "another version's":
        with landing_index.Index(kept.home.landing)._opened() as connection:
            connection.execute("pragma user_version = 99")
            connection.execute("delete from batches")
    else:  # an older landing, without its last batch
        for file in kept.landing.batches()[-1].files:
            file.unlink()
            file.with_suffix(".json").unlink()
        settled(index.parent / "till" / "rows")
        kept.manifests.pop()
        kept.records[STREAMS[0]].pop()
        kept.files.pop("file 2")
    kept.check_python()
