"""What nobody expected is told by source, type and text, with its trace in the log, and is not tried again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import pytest

from cdp_orchestration.components import run_pass
from cdp_orchestration.components.connection import stream_asset
from cdp_orchestration.connections import Connection
from cdp_orchestration.errors import NeedsAPerson, TryAgain
from cdp_orchestration.kinds import SOURCES
from cdp_orchestration.landing import Page, Record
from cdp_orchestration.sources.base import Source, SourceConfig


class Odd(Source):
    """A connector that raises what it is told to raise, and counts how often it was asked."""

    kind: ClassVar[str] = "odd"
    Config: ClassVar[type[SourceConfig]] = SourceConfig
    error: ClassVar[BaseException]
    at: ClassVar[str]
    asked: ClassVar[int]

    def __init__(self, config: Any, home_root: Path) -> None:
        super().__init__(config, home_root)
        type(self).asked += 1
        if self.at == "making":
            raise self.error

    def pull(self, stream: str, state: dict[str, Any], files: dict[str, str]) -> Iterator[Page]:
        yield Page([Record("{}")], {}, notes=["something to know"], safe=self.at == "nowhere")
        if self.at == "pulling":
            raise self.error


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """told(error, at) -> (problems as `cdp run` prints them, how often it was tried, the log)."""
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    monkeypatch.setitem(SOURCES, "odd", Odd)
    monkeypatch.setattr("cdp_orchestration.components.connection.RETRY", dg.RetryPolicy(max_retries=1, delay=0))
    connection = Connection("till", "odd", {"kind": "odd", "streams": {"receipts": {}}}, None, None, "till/defs.yaml")
    definitions = dg.Definitions([stream_asset(connection, "receipts")], jobs=[dg.define_asset_job("pull")])

    def run(error: BaseException, at: str) -> tuple[list[str], int, str]:
        Odd.error, Odd.at, Odd.asked = error, at, 0
        with dg.DagsterInstance.ephemeral() as instance:
            step = run_pass._execute(definitions, instance, "pull")
        log = tmp_path / "logs" / "cdp.log"
        return step.problems, Odd.asked, log.read_text() if log.exists() else ""

    return run


@pytest.mark.parametrize("at", ["making", "pulling"])
def test_what_a_connector_raises_unexpectedly_is_told_whole_and_not_tried_again(told: Any, at: str) -> None:
    (problem,), tried, log = told(KeyError("no such\nthing"), at)
    assert problem.startswith("till.receipts: KeyError: 'no such\\nthing'")
    assert "logs/cdp.log" in problem
    assert tried == 1
    assert "Traceback" in log
    assert "in __init__" in log if at == "making" else "in pull" in log
    (problem,), tried, _ = told(RuntimeError(), at)
    assert problem.startswith("till.receipts: RuntimeError: it says nothing")
    assert tried == 1


def test_what_landing_refuses_is_told_with_its_source(told: Any) -> None:
    (problem,), tried, log = told(ValueError(), "elsewhere")  # the pull ends in the middle of a snapshot
    assert problem.startswith("till.receipts: ValueError: till.receipts: the pull ended in the middle")
    assert (tried, "Traceback" in log) == (1, True)


def test_our_own_errors_name_the_source_and_have_no_trace(told: Any) -> None:
    assert told(NeedsAPerson("field 'url' is wrong."), "making") == (["till.receipts: field 'url' is wrong."], 1, "")
    assert told(TryAgain("it does not answer."), "pulling") == (["till.receipts: it does not answer."], 2, "")


def test_a_failure_outside_of_a_step_of_ours_is_named_too(capfd: pytest.CaptureFixture[str]) -> None:
    @dg.asset
    def vitals() -> None:
        raise ZeroDivisionError("by nought")

    with dg.DagsterInstance.ephemeral() as instance:
        step = run_pass._execute(dg.Definitions([vitals], jobs=[dg.define_asset_job("pull")]), instance, "pull")
    assert step.problems == ["vitals: ZeroDivisionError: by nought"]
    assert "in vitals" in capfd.readouterr().err
