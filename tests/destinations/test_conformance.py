"""Every kind of destination keeps the same promises; a new one brings one file in conformance/ and is held to them all."""

import copy
import inspect
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pydantic
import pytest

from cdp_orchestration.destinations.base import Destination, Operation, Outcome
from cdp_orchestration.errors import CdpError, NeedsAPerson, NoAnswer, Refused
from cdp_orchestration.kinds import DESTINATIONS
from tests.destinations.conformance import PATIENCE, HttpKind, Kind, kinds
from tests.support.stand_in import DROP, Answer, Answering, Request, StandIn, standing_in

KINDS = kinds()
HTTP = {name: kind for name, kind in KINDS.items() if isinstance(kind, HttpKind)}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(params=sorted(HTTP))
def spoken(request: pytest.FixtureRequest) -> HttpKind:
    needed = [spec.file for spec in HTTP[request.param].spec if not spec.file.exists()]
    if needed:
        pytest.skip(f"the vendor's document {needed[0].name} is not here")
    return HTTP[request.param]


def sent(kind: Kind, destination: Destination, operations: list[Operation]) -> list[Outcome]:
    """In batches as delivery cuts them."""
    size = destination.batch_size or len(operations)
    outcomes = []
    try:
        for first in range(0, len(operations), size):
            outcomes += destination.send("vips", "run-1", operations[first : first + size])
    finally:
        destination.close()
    return outcomes


def serving(kind: HttpKind, answering: Answering, *script: Answer) -> AbstractContextManager[StandIn]:
    return standing_in(answering, *script, aside=kind.aside)


def always(answer: Answer) -> Answering:
    return lambda request: answer


def test_every_kind_is_under_test() -> None:
    assert KINDS.keys() == DESTINATIONS.keys()


def test_its_settings_are_described_and_its_secrets_are_secret(kind: Kind) -> None:
    for model in (kind.destination.Config, kind.destination.Target):
        for name, of in model.model_fields.items():
            assert of.description, f"{model.__name__}.{name} has no description"
        with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
            model.model_validate({"kind": kind.name, **kind.config, **kind.target, "no_such_field": 1})
    for secret in getattr(kind, "secrets", []):
        assert secret not in repr(
            kind.destination.Config.model_validate({"kind": kind.name, "url": "http://x", **kind.config})
        )


def test_it_says_what_it_can_do(kind: Kind) -> None:
    destination = kind.destination
    assert kind.mode in destination.modes
    assert destination.removal, "what does a removal do there?"
    erases = destination.erase is not Destination.erase
    assert erases != bool(destination.no_erasure), "either it can erase a person, or it says why not"
    if "mirror" in destination.modes:
        assert any(operation.operation == "remove" for operation in kind.operations), "a mirror removes"


def test_a_batch_is_accepted_row_by_row_and_once(kind: Kind, tmp_path: Path) -> None:
    """Sent again, as after a crash, it changes nothing."""
    with kind.world(tmp_path) as world:
        if kind.held:
            sent(kind, world.connected(), kind.held)
        outcomes = sent(kind, world.connected(), kind.operations)
        held = copy.deepcopy(world.state())
        assert sent(kind, world.connected(), kind.operations)
        assert world.state() == held
    assert [outcome.row_key for outcome in outcomes] == [operation.row_key for operation in kind.operations]
    assert {outcome.status for outcome in outcomes} == {"accepted"}
    assert held


def test_its_address_is_the_same_for_every_run_and_holds_no_secret(kind: Kind, tmp_path: Path) -> None:
    with kind.world(tmp_path) as world:
        one, other = world.connected(), world.connected()
        assert one.address() == other.address() != ""
        for secret in getattr(kind, "secrets", []):
            assert secret not in one.address()


def test_a_person_is_erased_or_the_reason_is_given(kind: Kind, tmp_path: Path) -> None:
    with kind.world(tmp_path) as world:
        destination = world.connected()
        if kind.destination.no_erasure:
            with pytest.raises(NeedsAPerson) as told:
                destination.erase(kind.identifiers)
            assert kind.destination.no_erasure in str(told.value)
            return
        sent(kind, world.connected(), [o for o in kind.operations if o.operation != "remove"])
        before = copy.deepcopy(world.state())
        assert destination.erase(kind.identifiers).status == "accepted"
        assert world.state() != before
        assert destination.erase(kind.identifiers).status == "accepted", "somebody who is not there is erased"


def test_its_requests_please_the_vendor(spoken: HttpKind, tmp_path: Path) -> None:
    with serving(spoken, spoken.answering({})) as server:
        address = {"url": server.url, **PATIENCE}
        if spoken.held:
            sent(spoken, spoken.made(tmp_path, **address), spoken.held)
        sent(spoken, spoken.made(tmp_path, **address), spoken.operations)
        if not spoken.destination.no_erasure:
            spoken.made(tmp_path, **address).erase(spoken.identifiers)
    assert server.requests
    for request in server.requests:
        assert spoken.faults(request) == [], f"{request.method} {request.path} {request.body.decode()[:500]}"


def test_what_judges_them_is_not_blind(spoken: HttpKind, tmp_path: Path) -> None:
    assert spoken.malformed
    for request in spoken.malformed:
        assert spoken.faults(request), f"{request.method} {request.path}"
    judged = {(request.method, _shape(request)) for request in spoken.malformed}
    with serving(spoken, spoken.answering({})) as server:
        for operations in (spoken.held, spoken.operations):
            sent(spoken, spoken.made(tmp_path, url=server.url, **PATIENCE), operations)
    assert {(r.method, _shape(r)) for r in server.requests if r.body} <= judged, "a malformed request per endpoint"


def _shape(request: Request) -> int:
    return request.path.count("/")


def test_a_refused_row_does_not_hide_in_a_success(spoken: HttpKind, tmp_path: Path) -> None:
    if not spoken.can_refuse_rows:
        pytest.skip("its answers say nothing of rows: its docs say so")
    bad = next(operation for operation in spoken.operations if operation.operation != "remove")
    outcomes = _through_halving(spoken, tmp_path, spoken.refusing(bad))
    assert [outcome.row_key for outcome in outcomes] == [operation.row_key for operation in spoken.operations]
    for outcome in outcomes:
        assert outcome.status == ("refused" if outcome.row_key == bad.row_key else "accepted"), outcome
        assert outcome.status == "accepted" or outcome.message or outcome.code


def _through_halving(kind: HttpKind, root: Path, answering: Answering) -> list[Outcome]:
    """As delivery does it: a batch that is refused as a whole is halved."""
    with serving(kind, answering) as server:
        destination = kind.made(root, url=server.url, **PATIENCE)

        def send(operations: list[Operation]) -> Iterator[Outcome]:
            try:
                yield from destination.send("vips", "run-1", operations)
            except Refused as refusal:
                if len(operations) == 1:
                    yield Outcome(operations[0].row_key, "refused", refusal.code, str(refusal))
                else:
                    yield from send(operations[: len(operations) // 2])
                    yield from send(operations[len(operations) // 2 :])

        outcomes = list(send(kind.operations))
        destination.close()
    return outcomes


def test_a_throttled_request_is_patient(spoken: HttpKind, tmp_path: Path) -> None:
    for answer in spoken.throttled():
        with serving(spoken, spoken.answering({}), answer) as server:
            outcomes = sent(spoken, spoken.made(tmp_path, url=server.url, **PATIENCE), spoken.operations)
        assert {outcome.status for outcome in outcomes} == {"accepted"}
        assert server.requests[0] == server.requests[1], "the same request again"
        with serving(spoken, always(answer)) as server, pytest.raises(NoAnswer) as told:
            sent(spoken, spoken.made(tmp_path, url=server.url, **PATIENCE), spoken.operations)
        assert not told.value.may_have_arrived, "a throttled request was not taken"


@pytest.mark.parametrize("answer", [(503, {}, "down"), DROP], ids=["503", "dropped"])
def test_who_does_not_answer_may_have_taken_it(spoken: HttpKind, tmp_path: Path, answer: Answer) -> None:
    with serving(spoken, always(answer)) as server, pytest.raises(NoAnswer) as told:
        sent(spoken, spoken.made(tmp_path, url=server.url, **PATIENCE), spoken.operations)
    assert told.value.may_have_arrived


def test_refused_credentials_stop_at_once_and_name_the_field(spoken: HttpKind, tmp_path: Path) -> None:
    refused = pytest.raises(NeedsAPerson, match=f"'{spoken.secret_field}'")
    with serving(spoken, always(spoken.unauthorized())) as server, refused:
        sent(spoken, spoken.made(tmp_path, url=server.url, **PATIENCE), spoken.operations)
    assert len(server.requests) == 1, "no second try"


@pytest.mark.parametrize("content", ["<html>hello</html>", "[]", '{"surprise": true}', "", "null"])
def test_an_answer_that_says_nothing_accepts_nothing(spoken: HttpKind, tmp_path: Path, content: str) -> None:
    if spoken.accepts_anything:
        pytest.skip("any 2xx accepts all rows: its documents say so")
    with serving(spoken, always((200, {}, content))) as server:
        try:
            outcomes = sent(spoken, spoken.made(tmp_path, url=server.url, **PATIENCE), spoken.operations)
        except CdpError:
            return
    assert not [outcome for outcome in outcomes if outcome.status == "accepted"]


def test_no_secret_is_ever_said(spoken: HttpKind, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    echo = "".join(spoken.secrets)
    for answer in (
        (400, {}, echo),
        (401, {}, echo),
        (500, {}, echo),
        DROP,
        (302, {"Location": f"http://x/?a={echo}"}, ""),
    ):
        with serving(spoken, always(answer)) as server:
            destination = spoken.made(tmp_path, url=server.url, **PATIENCE)
            try:
                said.append(repr(sent(spoken, destination, spoken.operations[:1])))
            except CdpError as error:
                said += [str(error), repr(error)]
            said.append(repr(destination.config))
    assert spoken.secrets
    for secret in spoken.secrets:
        assert secret not in caplog.text
        assert not [text for text in said if secret in text]


def test_its_batches_are_no_larger_than_it_takes(spoken: HttpKind, tmp_path: Path) -> None:
    config = {"kind": spoken.name, "url": "http://127.0.0.1:1", **spoken.config}
    size = spoken.made(tmp_path, url="http://127.0.0.1:1").batch_size
    assert size is not None
    bounds = [of for of in spoken.destination.Config.model_fields["batch_size"].metadata if hasattr(of, "le")]
    if bounds:  # the vendor has a maximum
        assert size <= bounds[0].le
        with pytest.raises(pydantic.ValidationError):
            spoken.destination.Config.model_validate({**config, "batch_size": bounds[0].le + 1})
    else:
        assert spoken.accepts_anything, "the vendor's maximum belongs into the field batch_size"


def test_the_file_of_a_kind_is_short(kind: Kind) -> None:
    """A destination is a page that a newcomer reads."""
    assert len(inspect.getsource(inspect.getmodule(kind.destination)).splitlines()) <= 260  # type: ignore[arg-type]
