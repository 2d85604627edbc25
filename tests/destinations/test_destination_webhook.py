"""The webhook over real HTTP: what it sends, what it makes of answers, how patient it is, and that it keeps secrets."""

import email.utils
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pydantic
import pytest

from cdp_orchestration.destinations.base import Operation, Outcome
from cdp_orchestration.destinations.webhook import Webhook, WebhookConfig
from cdp_orchestration.errors import NeedsAPerson, NoAnswer, Refused, TryAgain
from cdp_orchestration.kinds import DESTINATIONS

TOKEN = "s3cret-t0ken"
ROWS = [
    Operation("add", "a", {"email": "ü@x.io", "spend_usd": 1.5, "gone": None}, "key-a", {"row_key": "a"}),
    Operation("update", "b", {"n": 2**53 + 1, "is_vip": True}, "key-b", {"row_key": "b"}),
]
Answer = tuple[int, dict[str, str], Any]


@dataclass
class Server:
    """Answers with its script, one entry a request ("drop" breaks the connection), then 200."""

    script: list[Answer | str] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes, float]] = field(default_factory=list)
    url: str = ""
    delay: float = 0.0


@contextmanager
def serving(*script: Answer | str) -> Iterator[Server]:
    server = Server(list(script))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.requests.append((self.path, dict(self.headers), body, time.monotonic()))
            answer = server.script.pop(0) if server.script else (200, {}, "")
            time.sleep(server.delay)
            if isinstance(answer, str):
                self.close_connection = True
                return
            status, headers, content = answer
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_address[1]}/hook"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()


def webhook(url: str, **more: Any) -> Webhook:
    fields = {"token": TOKEN, "attempts": 3, "timeout_seconds": 2, "max_wait_seconds": 0.02, **more}
    return Webhook(WebhookConfig(kind="webhook", url=url, **fields), Path("/nowhere"))


def send(url: str, **more: Any) -> list[Outcome]:
    hook = webhook(url, **more)
    try:
        return hook.send("vips", "run-1", ROWS)
    finally:
        hook.close()


def test_the_request_is_exactly_this() -> None:
    with serving() as server:
        outcomes = send(server.url, headers={"X-Account": "42"})
    [(path, headers, body, _)] = server.requests
    assert path == "/hook"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["X-Account"] == "42"
    assert headers["Content-Type"] == "application/json"
    assert body.decode() == (
        '{"sync":"vips","run_id":"run-1","operations":['
        '{"operation":"add","row_key":"a","idempotency_key":"key-a",'
        '"fields":{"email":"ü@x.io","spend_usd":1.5,"gone":null}},'
        '{"operation":"update","row_key":"b","idempotency_key":"key-b","fields":{"n":9007199254740993,"is_vip":true}}]}'
    )
    assert outcomes == [Outcome("a", "accepted", "200"), Outcome("b", "accepted", "200")]


def test_a_batch_has_the_same_key_whenever_it_is_sent() -> None:
    with serving() as server:
        send(server.url)
        send(server.url)
        hook = webhook(server.url, token=None)
        hook.send("vips", "run-1", ROWS[:1])
        hook.close()
    first, second, other = [headers["Idempotency-Key"] for _, headers, _, _ in server.requests]
    assert first == second != other
    assert "Authorization" not in server.requests[2][1], "without a token nothing is claimed"


def test_the_answer_may_decide_per_row() -> None:
    results = [
        {"row_key": "a", "status": "refused", "message": "no such person"},
        {"row_key": "b", "status": 201},
        {"row_key": "stranger", "status": "ok"},
    ]
    with serving((207, {}, {"results": results})) as server:
        outcomes = send(server.url)
    assert outcomes == [Outcome("a", "refused", "refused", "no such person"), Outcome("b", "accepted", "201")]


@pytest.mark.parametrize(
    ("status", "becomes"),
    [("accepted", "accepted"), ("OK", "accepted"), ("success", "accepted"), (200, "accepted"), (204, "accepted"),
     (400, "refused"), ("error", "refused"), (None, "refused"), (True, "refused")],
)  # fmt: skip
def test_words_for_accepted(status: object, becomes: str) -> None:
    results = [{"row_key": "a", "status": status}, {"row_key": "b", "status": "ok"}]
    with serving((200, {}, {"results": results})) as server:
        assert send(server.url)[0].status == becomes


def test_a_row_that_the_answer_leaves_out_is_refused() -> None:
    with serving((200, {}, {"results": [{"row_key": "a", "status": "ok"}]})) as server:
        outcomes = send(server.url)
    assert outcomes[1] == Outcome("b", "refused", "no_answer", "the receiver did not answer for this row")


@pytest.mark.parametrize("content", ["", "thanks", "[1]", '{"results": 3}', '{"ok": true}'])
def test_any_other_2xx_accepts_all(content: str) -> None:
    with serving((202, {}, content)) as server:
        assert {outcome.status for outcome in send(server.url)} == {"accepted"}


@pytest.mark.parametrize("fault", [(429, {}, ""), (500, {}, ""), (503, {}, ""), (408, {}, ""), (425, {}, ""), "drop"])
def test_passing_faults_are_tried_again(fault: Answer | str) -> None:
    with serving(fault, fault) as server:
        assert {outcome.status for outcome in send(server.url)} == {"accepted"}
    assert len(server.requests) == 3
    assert len({body for _, _, body, _ in server.requests}) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(form: str) -> None:
    at = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with serving((429, {"Retry-After": "1" if form == "seconds" else at}, "")) as server:
        send(server.url, max_wait_seconds=5)
    waited = server.requests[1][3] - server.requests[0][3]
    assert 0.9 < waited < 2.5


def test_a_wait_that_is_too_long_is_left_to_the_next_delivery() -> None:
    with serving((503, {"Retry-After": "3600"}, "")) as server:
        with pytest.raises(NoAnswer, match="3600 s, more than max_wait_seconds"):
            send(server.url)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "arrived", "code"),
    [
        ((429, {}, "slow down"), False, "429"),
        ((500, {}, "oops"), True, "500"),
        ((503, {}, "upstream reset"), True, "503"),
        ((504, {}, ""), True, "504"),
        ("drop", True, "no_answer"),
    ],
)
def test_patience_ends_and_says_whether_the_rows_may_have_arrived(
    fault: Answer | str, arrived: bool, code: str
) -> None:
    with serving(*[fault] * 9) as server:
        with pytest.raises(TryAgain) as caught:
            send(server.url)
        assert len(server.requests) == 3
    assert isinstance(caught.value, NoAnswer)
    assert (caught.value.may_have_arrived, caught.value.code) == (arrived, code)


def test_a_timeout_after_sending_leaves_the_rows_in_doubt() -> None:
    with serving() as server:
        server.delay = 0.5
        with pytest.raises(NoAnswer, match="did not answer in time") as caught:
            send(server.url, timeout_seconds=0.1, attempts=1)
    assert caught.value.may_have_arrived


def test_nobody_listening_means_that_nothing_arrived() -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(NoAnswer, match="could not be reached") as caught:
        send(url)
    assert not caught.value.may_have_arrived


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_stop_and_name_the_field(status: int) -> None:
    with serving((status, {}, "")) as server:
        with pytest.raises(NeedsAPerson, match=rf"answered {status}.*'token'.*'url'"):
            send(server.url)
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with serving((status, {"Location": "http://127.0.0.1/other?key=abc"}, "")) as server:
        with pytest.raises(NeedsAPerson, match=r"redirects.*http://127\.0\.0\.1/other, .*'url'") as caught:
            send(server.url)
        assert len(server.requests) == 1
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_another_4xx_refuses_the_batch(status: int) -> None:
    with serving((status, {}, "row  b\nis bad " + "x" * 1000)) as server:
        with pytest.raises(Refused, match=r"^row b is bad x") as caught:
            send(server.url)
        assert len(server.requests) == 1
    assert caught.value.code == str(status)
    assert len(str(caught.value)) <= 300


def test_secrets_are_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = f"you sent Bearer {TOKEN} and {'h34der'}"
    told: list[str] = []
    for script in ([(400, {}, echo)], [(500, {}, echo)] * 3, [(401, {}, echo)], ["drop"] * 3):
        with serving(*script) as server, pytest.raises(Exception) as caught:
            send(server.url.replace("http://", "http://user:passw0rd@") + "?key=qu3ry", headers={"X-Key": "h34der"})
        told += [str(caught.value), repr(caught.value)]
    with serving((200, {}, {"results": [{"row_key": "a", "status": "bad", "message": echo}]})) as server:
        told += [repr(send(server.url, headers={"X-Key": "h34der"}))]
    config = WebhookConfig(kind="webhook", url="http://x", token=TOKEN, headers={"X-Key": "h34der"})
    told += [repr(config), str(config), config.model_dump_json(), caplog.text]
    for secret in (TOKEN, "h34der", "passw0rd"):
        assert secret not in "\n".join(told), secret
    assert "qu3ry" not in "\n".join(told[:-1]), "urllib3's debug log shows the address"


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving() as server:
        send(server.url)
    assert server.requests[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_requests_keep_to_their_rate() -> None:
    with serving() as server:
        hook = webhook(server.url, requests_per_second=20)
        for _ in range(5):
            hook.send("vips", "run-1", ROWS)
        hook.close()
    times = [at for _, _, _, at in server.requests]
    assert times[-1] - times[0] >= 4 / 20 - 0.01


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"url": "ftp://x"}, "url"), ({}, "url"), ({"url": "http://x", "batch_size": 0}, "batch_size"),
     ({"url": "http://x", "attempts": 0}, "attempts"), ({"url": "http://x", "retries": 3}, "retries")],
)  # fmt: skip
def test_faulty_configuration_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        WebhookConfig(kind="webhook", **fields)
    assert caught.value.errors()[0]["loc"] == (field,)


@pytest.mark.parametrize("token", ["line\nbreak", " blank ", "ümlaut"])
def test_a_token_that_no_header_can_carry_stops_before_sending(token: str) -> None:
    with pytest.raises(NeedsAPerson, match="field 'token'") as caught:
        webhook("http://127.0.0.1:9", token=token)
    assert token not in str(caught.value)


def test_the_kind_is_found_by_its_file() -> None:
    assert DESTINATIONS["webhook"] is Webhook
    assert webhook("http://x", batch_size=3).batch_size == 3
    assert WebhookConfig(kind="webhook", url="http://x").batch_size == 500
    assert all(field.description for kind in DESTINATIONS.values() for field in kind.Config.model_fields.values())


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://CRM.Example/Hook", "https://crm.example/Hook"),
        ("HTTPS://crm.example:443/Hook?token=s3cret#part", "https://crm.example/Hook"),
        ("https://jane:s3cret@crm.example/Hook", "https://crm.example/Hook"),
        (" https://crm.example/Hook ", "https://crm.example/Hook"),
        ("http://crm.example:80", "http://crm.example/"),
        ("http://crm.example:8080/", "http://crm.example:8080/"),
        ("http://[::1]:80/a", "http://[::1]/a"),
        ("https://crm.example/Hook/", "https://crm.example/Hook/"),
    ],
)
def test_the_address_is_the_url_without_what_may_be_secret(url: str, address: str) -> None:
    if url == url.strip():
        assert webhook(url, token="another", headers={"X-Version": "9"}).address() == address
    else:
        with pytest.raises(pydantic.ValidationError):
            webhook(url)


def test_a_url_that_is_none_stops_and_names_the_field() -> None:
    for url in ("http://crm.example:abc/", "http://[crm/"):
        with pytest.raises(NeedsAPerson, match="field 'url'"):
            webhook(url).address()


def test_an_account_stands_for_an_address_that_moves() -> None:
    assert (
        webhook("http://a.example/1", account="crm").address() == webhook("http://b.example/2", account="crm").address()
    )
    assert (
        webhook("http://a.example/1", account="crm").address() != webhook("http://a.example/1", account="b").address()
    )
