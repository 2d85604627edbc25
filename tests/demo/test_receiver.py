"""The demo's CRM keeps its word: what the webhook's contract promises, a receiver that holds to it."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_orchestration.demo.receiver import Receiver

TOKEN = "t0ken"


def operation(row_key: str, key: str, operation: str = "add", **fields: Any) -> dict[str, Any]:
    return {"operation": operation, "row_key": row_key, "idempotency_key": key, "fields": fields}


def post(receiver: Receiver, *operations: dict[str, Any], sync: str = "vips", token: str = TOKEN) -> requests.Response:
    body = {"sync": sync, "run_id": "run", "operations": list(operations)}
    return requests.post(receiver.url + "syncs", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def test_operations_are_applied_in_order(tmp_path: Path) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        post(receiver, operation("a", "1", email="a@x.io"), operation("b", "2", email="b@x.io"))
        answer = post(receiver, operation("a", "3", "update", email="z@x.io"), operation("b", "4", "remove"))
        assert answer.json() == {"results": [
            {"row_key": "a", "status": "accepted", "message": ""},
            {"row_key": "b", "status": "accepted", "message": ""},
        ]}  # fmt: skip
        post(receiver, operation("a", "5"), sync="others")
        assert receiver.held("vips") == {"a": {"email": "z@x.io"}}
        assert requests.get(receiver.url + "state", timeout=5).json() == {
            "vips": {"a": {"email": "z@x.io"}},
            "others": {"a": {}},
        }


def test_an_impossible_address_is_refused_alone(tmp_path: Path) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        answer = post(receiver, operation("a", "1", email="nobody"), operation("b", "2", email="b@x.io"))
        assert [result["status"] for result in answer.json()["results"]] == ["refused", "accepted"]
        assert set(receiver.held("vips")) == {"b"}
        post(receiver, operation("a", "1", email="mended@x.io"))
        assert set(receiver.held("vips")) == {"a", "b"}, "a refused key was not used up"


def test_a_repeated_key_changes_nothing_and_is_counted(tmp_path: Path) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        post(receiver, operation("a", "1", email="a@x.io"))
        post(receiver, operation("a", "2", "remove"))
        answer = post(receiver, operation("a", "1", email="a@x.io"))
        assert answer.json()["results"][0]["status"] == "accepted"
        assert receiver.held("vips") == {}
        assert receiver.stats() == {"requests": 3, "operations": 3, "repeated": 1, "refused": 0}
        assert requests.get(receiver.url + "stats", timeout=5).json() == receiver.stats()


def test_a_second_start_continues(tmp_path: Path) -> None:
    file = tmp_path / "crm" / "state.json"
    with Receiver(file, TOKEN) as receiver:
        post(receiver, operation("a", "1", email="a@x.io"))
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]
    with Receiver(file, TOKEN) as receiver:
        assert receiver.held("vips") == {"a": {"email": "a@x.io"}}
        post(receiver, operation("a", "1", email="a@x.io"))
        assert receiver.stats()["repeated"] == 1
    assert json.loads(file.read_text())["stats"]["requests"] == 2


@pytest.mark.parametrize("token", ["", "t0ke", "T0KEN"])
def test_the_token_is_needed(tmp_path: Path, token: str) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        assert post(receiver, operation("a", "1"), token=token).status_code == 401
        assert receiver.held("vips") == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"sync": "x"}', b'{"sync": "x", "operations": [{}]}'])
def test_another_body_is_refused_and_the_server_lives_on(tmp_path: Path, body: bytes) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert requests.post(receiver.url, data=body, headers=headers, timeout=5).status_code in (400, 413)
        assert post(receiver, operation("a", "1")).ok


def test_faults_on_demand(tmp_path: Path) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        receiver.fail_next, receiver.retry_after = [503, 429], "7"
        first = post(receiver, operation("a", "1"))
        assert (first.status_code, first.headers["Retry-After"]) == (503, "7")
        assert post(receiver, operation("a", "1")).status_code == 429
        assert receiver.held("vips") == {}
        assert post(receiver, operation("a", "1")).status_code == 200


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        body = {"sync": "vips", "run_id": "run", "operations": [operation("a", "1")]}
        assert session.post(receiver.url, json=body, timeout=5).ok
    body["operations"] = [operation("b", "2")]
    with pytest.raises(requests.ConnectionError):
        session.post(receiver.url, json=body, timeout=5)
    assert set(receiver.held("vips")) == {"a"}


def test_there_is_a_page_for_people(tmp_path: Path) -> None:
    with Receiver(tmp_path / "state.json", TOKEN) as receiver:
        post(receiver, operation("a", "1"), sync="<vips>")
        page = requests.get(receiver.url, timeout=5)
        assert page.headers["Content-Type"].startswith("text/html")
        assert "&lt;vips&gt;<td>1" in page.text
        assert requests.get(receiver.url + "else", timeout=5).status_code == 404
