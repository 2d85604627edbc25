"""Posts operations as JSON to an address of the user's own.

Body: {"sync", "run_id", "operations": [{"operation", "row_key", "idempotency_key", "fields": {...}}]}. A 2xx answer
accepts all rows, unless it is JSON with `results: [{row_key, status, message}]`, which then decides per row.
"""

import hashlib
import json
import urllib.parse
from pathlib import Path
from typing import Any, ClassVar

import pydantic
import requests

from cdp_orchestration.destinations.base import Destination, DestinationConfig, Mode, Operation, Outcome
from cdp_orchestration.errors import NeedsAPerson
from cdp_orchestration.http_client import HttpClient, HttpConfig

_DEFAULT_PORTS = {"http": 80, "https": 443}


class WebhookConfig(DestinationConfig, HttpConfig):
    """Where to post, and in what portions; HttpConfig has how to prove who we are and how patient to be."""

    url: str = pydantic.Field(description="Address that takes the POST, http:// or https://.")
    account: str = pydantic.Field(
        default="",
        description="A name for what answers at the URL. With one, the ledger belongs to this name instead of the URL: give "
        "it where the same receiver moves from address to address. A name that is given or changed later is a new address.",
    )
    batch_size: int = pydantic.Field(default=500, ge=1, description="The most operations in one request.")


class Webhook(Destination):
    """The destination kind `webhook`."""

    kind: ClassVar[str] = "webhook"
    Config: ClassVar[type[DestinationConfig]] = WebhookConfig
    modes: ClassVar[tuple[Mode, ...]] = ("mirror", "upsert", "update_only", "insert_only", "append")
    no_erasure: ClassVar[str] = "a webhook has no call for it: ask whoever runs the receiver"

    def __init__(self, config: WebhookConfig, home_root: Path, target: Any = None, mode: Mode = "mirror") -> None:
        """Raises NeedsAPerson for a token or header that cannot be sent, before any row is planned."""
        super().__init__(config, home_root, target, mode)
        self._http = HttpClient(self.kind, config, "The rows stay owed; the next delivery sends them.")

    def address(self) -> str:
        """The account; without one, the URL without user, password, query and fragment. Host names know no case, and 443 is
        https anyway."""
        if self.config.account.strip():
            return f"account {self.config.account.strip()}"
        try:
            parts = urllib.parse.urlsplit(self.config.url.strip())
            scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        except ValueError as error:
            raise NeedsAPerson(f"webhook: the field 'url' is no address ({error}). Correct it.") from None
        host = f"[{host}]" if ":" in host else host
        if port is not None and port != _DEFAULT_PORTS.get(scheme):
            host = f"{host}:{port}"
        return urllib.parse.urlunsplit((scheme, host, parts.path or "/", "", ""))

    def close(self) -> None:
        self._http.close()

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """One POST, tried again on passing faults. Raises Refused (4xx), NoAnswer, NeedsAPerson (401, 403, 3xx)."""
        body = {
            "sync": sync,
            "run_id": run_id,
            "operations": [
                {
                    "operation": operation.operation,
                    "row_key": operation.row_key,
                    "idempotency_key": operation.idempotency_key,
                    "fields": operation.fields,
                }
                for operation in operations
            ],
        }
        data = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        keys = "|".join(operation.idempotency_key for operation in operations)
        headers = {"Idempotency-Key": hashlib.sha256(keys.encode()).hexdigest(), "Content-Type": "application/json"}
        answer = self._http.request("POST", self.config.url, data, headers)
        return self._outcomes(answer, operations)

    def _outcomes(self, answer: requests.Response, operations: list[Operation]) -> list[Outcome]:
        code = str(answer.status_code)
        results = _results(answer)
        if results is None:
            return [Outcome(operation.row_key, "accepted", code) for operation in operations]
        missing = {"status": "", "message": "the receiver did not answer for this row"}
        outcomes = []
        for operation in operations:
            result = results.get(operation.row_key, missing)
            status, message = result.get("status"), self._http.clean(str(result.get("message") or ""))
            outcomes.append(
                Outcome(operation.row_key, "accepted" if _is_good(status) else "refused", _code(status), message)
            )
        return outcomes


def _results(answer: requests.Response) -> dict[str, dict[str, Any]] | None:
    """The answer's results by row_key; None where it has none and so accepts all."""
    try:
        content = answer.json()
    except ValueError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        return None
    return {str(r["row_key"]): r for r in content["results"] if isinstance(r, dict) and "row_key" in r}


def _is_good(status: object) -> bool:
    if isinstance(status, int) and not isinstance(status, bool):
        return 200 <= status < 300
    return isinstance(status, str) and status.lower() in ("accepted", "ok", "success")


def _code(status: object) -> str:
    return "no_answer" if status in ("", None) else str(status)[:50]
