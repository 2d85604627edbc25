"""Makes the home that tests/takeover/test_takeover.py hands to this version: three days of a small company, run by an older one.

    python tests/takeover/make_home.py CHECKOUT tests/takeover/home.tar.gz

CHECKOUT is a checkout of the older version with its environment; the home in this folder was made by commit 93c4165.
Day 1 has lines of one file in the same second whose message ids sort against their order in the file, and two people who
share an address. Day 2 brings a withdrawal, a merge, an order and an operator's decision (a cut); day 3 takes the
decision back: splits hold both. Both destinations are delivered to on each day.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

KEPT = ("landing", "inbox", "company", "deliveries", "drop", "warehouse.duckdb")
CONSENT = {"consent": {"categoryPreferences": {"email_marketing": True}}}


def identify(message: str, user: str, day: int, second: int = 0, **more: Any) -> dict[str, Any]:
    at = f"2026-11-{day:02d}T10:00:{second:02d}Z"
    return {"type": "identify", "messageId": message, "userId": user, "timestamp": at, "receivedAt": at, **more}


def order(message: str, user: str, day: int, total: float, **properties: Any) -> dict[str, Any]:
    at = f"2026-11-{day:02d}T11:00:00Z"
    return {"type": "track", "messageId": message, "userId": user, "event": "Order Completed", "timestamp": at,
            "receivedAt": at, "properties": {"order_id": f"order-{message}", "total": total, **properties}}  # fmt: skip


DAYS: dict[int, list[dict[str, Any]]] = {
    10: [
        # README, "Who is who": one file, one second, and ids that sort the other way round.
        {**identify("tablet-3", "ann", 10, traits={"email": "ann@x.example", "first_name": "Ann"}, context=CONSENT),
         "anonymousId": "tablet"},
        {**identify("tablet-2", "bob", 10, traits={"email": "bob@x.example", "first_name": "Bob"}, context=CONSENT),
         "anonymousId": "tablet"},
        {"type": "page", "messageId": "tablet-1", "anonymousId": "tablet", "name": "Home",
         "timestamp": "2026-11-10T10:00:00Z", "receivedAt": "2026-11-10T10:00:00Z"},
        # Two people with one address: both rows were accepted.
        identify("m-cia", "cia", 10, 1, traits={"email": "family@x.example", "first_name": "Cia"}, context=CONSENT),
        identify("m-dan", "dan", 10, 2, traits={"email": "family@x.example", "first_name": "Dan"}, context=CONSENT),
        identify("m-eva", "eva", 10, 3, traits={"email": "eva@x.example", "first_name": "Eva"}, context=CONSENT),
        # Two who are one on day 2.
        identify("m-fay", "fay", 10, 4, traits={"email": "fay@x.example"}, context=CONSENT),
        {"type": "track", "messageId": "m-fox", "anonymousId": "fox", "event": "Trip Searched",
         "properties": {"destination": "Oslo"}, "timestamp": "2026-11-10T10:00:05Z", "receivedAt": "2026-11-10T10:00:05Z"},
        order("o-ann", "ann", 10, 2500.0),
        order("o-bob", "bob", 10, 3000.0, destination="Rome"),
        order("o-eva", "eva", 10, 40.0),
    ],
    11: [
        identify("m-eva-no", "eva", 11, context={"consent": {"categoryPreferences": {"email_marketing": False}}}),
        {**identify("m-fay-fox", "fay", 11, 1), "anonymousId": "fox"},
        order("o-eva-2", "eva", 11, 5000.0),
        {"type": "track", "event": "", "userId": "nobody", "messageId": "m-bad"},
    ],
    12: [identify("m-gus", "gus", 12, traits={"email": "gus@x.example"}, context=CONSENT)],
}  # fmt: skip


class Accepts(BaseHTTPRequestHandler):
    """A CRM that takes everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


def main(checkout: Path, archive: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        project, home = Path(scratch, "project"), Path(scratch, "home")
        left_out = shutil.ignore_patterns(".git", ".venv*", "data", "target", "logs", "__pycache__")
        shutil.copytree(checkout, project, ignore=left_out)
        decisions = project / "dbt_project" / "seeds" / "identity_overrides.csv"
        none = decisions.read_text()
        (home / "inbox").mkdir(parents=True)
        (home / "company").mkdir()
        with sqlite3.connect(home / "company" / "shop.db") as shop:
            shop.execute("create table orders (order_id, customer_id, email, phone, anonymous_id, destination, amount, "
                         "currency, status, ordered_at, updated_at)")  # fmt: skip
            shop.execute(
                "create table refunds (refund_id, order_id, customer_id, email, amount, refunded_at, updated_at)"
            )
            shop.execute("insert into orders values ('s-1', 'ann', null, null, null, 'Oslo', 10.5, 'USD', 'completed', "
                         "'2026-11-09 10:00:00', '2026-11-09 10:00:00')")  # fmt: skip
        server = HTTPServer(("127.0.0.1", 0), Accepts)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ, "CDP_HOME": str(home), "PYTHONPATH": str(project), "CRM_WEBHOOK_TOKEN": "t",
            "CRM_WEBHOOK_URL": f"http://127.0.0.1:{server.server_address[1]}/",
        }  # fmt: skip
        for day, messages in DAYS.items():
            lines = "".join(f"{json.dumps(message)}\n" for message in messages)
            (home / "inbox" / f"day-{day}.jsonl").write_text(lines)
            cut = "cut,user_id,bob,anonymous_id,tablet,the test,to split and unite again\n"
            decisions.write_text(none + cut if day == 11 else none)
            arguments = [str(checkout / ".venv" / "bin" / "python"), "-m", "cdp_orchestration.cli", "run"]
            subprocess.run([*arguments, "--as-of", f"2026-11-{day}T12:00:00"], cwd=project, env=environment, check=True)
        with tarfile.open(archive, "w:gz", compresslevel=9, format=tarfile.PAX_FORMAT) as packed:
            for name in KEPT:
                packed.add(home / name, name)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]))
