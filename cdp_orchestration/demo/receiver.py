"""The demo's CRM: a small real HTTP server on loopback that takes what the webhook destination sends.

POST (any path)   a webhook batch, with the bearer token; answers per row
GET /state        {sync: {row_key: fields}}
GET /stats        {requests, operations, repeated, refused}
GET /             the same for people
"""

import hmac
import html
import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cdp_orchestration.disk import whole_file

_LARGEST = 64 * 1024 * 1024  # bytes of a request


class Receiver:
    """A receiver for webhook batches; a context manager that serves between enter and exit.

    It knows people by their `email` where they have one, as CRMs do, else by row_key: a row with the email of another row
    takes its place, and a removal that names an email removes whoever has it.

    Its state is in `state_file` (JSON, replaced whole after each request) and is read again at the next start. An
    idempotency_key that was accepted before is accepted and ignored. A row whose `email` has no @ is refused.

    For tests: `fail_next` holds status codes to answer before anything is done, one a request; `retry_after` is sent
    with them; `delay` is a pause in seconds between doing and answering; `log` is the batches that were read.
    """

    def __init__(self, state_file: Path, token: str, port: int = 0) -> None:
        """`port` 0 takes any free one."""
        self.state_file = Path(state_file)
        self.token = token
        self.port = port
        self.fail_next: list[int] = []
        self.retry_after: str | None = None
        self.delay = 0.0
        self.log: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._held: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, None] = {}
        self._stats = {"requests": 0, "operations": 0, "repeated": 0, "refused": 0}
        if self.state_file.exists():
            stored = json.loads(self.state_file.read_text())
            self._held, self._stats = stored["state"], stored["stats"]
            self._keys = dict.fromkeys(stored["keys"])

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where to post, and where a person looks."""
        return f"http://127.0.0.1:{self.port}/"

    def held(self, sync: str) -> dict[str, Any]:
        """Fields by row_key."""
        with self._lock:
            return dict(self._held.get(sync, {}))

    def state(self) -> dict[str, dict[str, Any]]:
        """Fields by sync and row_key."""
        with self._lock:
            return {sync: dict(rows) for sync, rows in self._held.items()}

    def stats(self) -> dict[str, int]:
        """Counts since the state file began: requests, operations, repeated, refused."""
        with self._lock:
            return dict(self._stats)

    def take(self, body: dict[str, Any]) -> dict[str, Any]:
        """Applies a batch and returns the answer. Raises KeyError or TypeError for a body of another shape."""
        with self._lock:
            rows = self._held.setdefault(str(body["sync"]), {})
            results = [self._apply(rows, operation) for operation in body["operations"]]
            self.log.append(body)
            self._save()
        return {"results": results}

    def fault(self) -> int | None:
        """Counts a request; the status that it should be answered with instead of being read, if any."""
        with self._lock:
            self._stats["requests"] += 1
            return self.fail_next.pop(0) if self.fail_next else None

    def _apply(self, rows: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
        row_key, key, fields = operation["row_key"], operation["idempotency_key"], operation["fields"]
        self._stats["operations"] += 1
        if key in self._keys:
            self._stats["repeated"] += 1
            return {"row_key": row_key, "status": "accepted", "message": "repeated"}
        email = fields.get("email")
        # A walk over all rows for each operation: it is a demo's CRM.
        namesakes = [held for held, other in rows.items() if email is not None and other.get("email") == email]
        if operation["operation"] == "remove":
            for held in namesakes if email is not None else [row_key]:
                rows.pop(held, None)
        else:
            if email is not None and "@" not in str(email):
                self._stats["refused"] += 1
                return {"row_key": row_key, "status": "refused", "message": "email has no @"}
            for held in namesakes:
                rows.pop(held)
            rows[row_key] = fields
        self._keys[key] = None
        return {"row_key": row_key, "status": "accepted", "message": ""}

    def _save(self) -> None:
        content = {"state": self._held, "stats": self._stats, "keys": list(self._keys)}
        with whole_file(self.state_file) as file:
            file.write(json.dumps(content).encode())

    def page(self) -> str:
        """The summary for people."""
        rows = [f"<tr><td>{html.escape(sync)}<td>{len(held)}" for sync, held in sorted(self.state().items())]
        counts = [f"<tr><td>{html.escape(name)}<td>{count}" for name, count in self.stats().items()]
        return (
            "<!doctype html><meta charset=utf-8><title>Demo CRM</title><h1>Demo CRM</h1>"
            f"<h2>Rows held</h2><table><tr><th>sync<th>rows{''.join(rows)}</table>"
            f"<h2>Since the start</h2><table>{''.join(counts)}</table>"
            "<p><a href=/state>state</a> <a href=/stats>stats</a>"
        )


class _Server(ThreadingHTTPServer):
    """Ends with its last answer: a connection that a sender keeps open would otherwise be served for ever."""

    daemon_threads = False  # so that server_close waits for requests at hand

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Reads no further request; answers still go out."""
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RD)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/state":
                self._json(200, receiver.state())
            elif self.path == "/stats":
                self._json(200, receiver.stats())
            elif self.path == "/":
                self._answer(200, "text/html; charset=utf-8", receiver.page().encode())
            else:
                self._json(404, {"error": "there is /, /state and /stats"})

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > _LARGEST:
                self.close_connection = True
                self._json(413, {"error": "Content-Length is missing or too large"})
                return
            data = self.rfile.read(int(length))
            fault = receiver.fault()
            if fault is not None:
                self._json(fault, {"error": "injected"})
                return
            given = self.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {receiver.token}".encode()):
                self._json(401, {"error": "the bearer token is not the right one"})
                return
            try:
                answer = receiver.take(json.loads(data))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self._json(400, {"error": f"not a webhook batch: {error!r}"})
                return
            time.sleep(receiver.delay)
            self._json(200, answer)

        def _json(self, status: int, content: Any) -> None:
            self._answer(status, "application/json", json.dumps(content).encode())

        def _answer(self, status: int, kind: str, content: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                if receiver.retry_after is not None and status >= 400:
                    self.send_header("Retry-After", receiver.retry_after)
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the sender has given up waiting

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the terminal belongs to the demo."""

    return Handler
