"""A local HTTP server in a vendor's stead: a function of the test answers, and every request is kept."""

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it came: `path` without the query, header names in lower case."""

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


DROP = "drop"
# Status, headers, content (JSON unless it is a text); DROP takes the request and breaks the connection.
Answer = tuple[int, dict[str, str], Any] | str
Answering = Callable[[Request], Answer]


@dataclass
class StandIn:
    """`script` answers first, one entry a request; then `answering` does."""

    answering: Answering
    script: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""


@contextmanager
def standing_in(
    answering: Answering, *script: Answer, aside: Callable[[Request], Answer | None] | None = None
) -> Iterator[StandIn]:
    """`aside` answers what is not the matter, a token's refreshing say, and is not kept."""
    stand_in = StandIn(answering, list(script))
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, urllib.parse.parse_qs(parts.query), headers, body)
            with lock:
                answer = aside(request) if aside else None
                if answer is None:
                    stand_in.requests.append(request)
                    answer = stand_in.script.pop(0) if stand_in.script else stand_in.answering(request)
            if isinstance(answer, str):
                self.close_connection = True
                return
            status, more, content = answer
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            if status != 204:
                self.wfile.write(data)

        do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        stand_in.url = f"http://127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield stand_in
        finally:  # else its thread would go on waiting, on a socket that may be the next server's
            http.shutdown()
