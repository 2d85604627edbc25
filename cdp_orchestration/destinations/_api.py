"""What destinations have in common that speak JSON with a vendor's API."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from cdp_orchestration.destinations.base import Destination, Mode
from cdp_orchestration.errors import CdpError, NoAnswer
from cdp_orchestration.http_client import HttpClient, Wait

OTHERWISE = "The rows stay owed; the next delivery sends them."


class ApiDestination(Destination):
    """A destination with an HttpClient that asks `_verdict` about each answer first.

    `_authorization`, `_secret_field` and `_headers` are for a kind to override.
    """

    def __init__(self, config: Any, home_root: Path, target: Any = None, mode: Mode = "mirror") -> None:
        super().__init__(config, home_root, target, mode)
        authorization, field = self._authorization()
        self._http = HttpClient(
            self.kind,
            config,
            OTHERWISE,
            authorization=authorization,
            secret_field=field,
            secrets=self._secrets(),
            verdict=self._verdict,
        )

    def close(self) -> None:
        self._http.close()

    def _authorization(self) -> tuple[str, str]:
        """The Authorization header, if it is not `Bearer <token>`, and the field that it is made of."""
        return "", "token"

    def _secrets(self) -> list[str]:
        """Further texts that no message may show."""
        return []

    def _headers(self) -> Mapping[str, str]:
        return {"Content-Type": "application/json"}

    def _verdict(self, answer: requests.Response) -> Wait | CdpError | None:
        """What the vendor's own words make of an answer; None: what HTTP says."""
        return None

    def _request(self, method: str, path: str, body: Any = None) -> requests.Response:
        """A 2xx answer. Raises Refused, NoAnswer, NeedsAPerson, as http_client says."""
        data = (
            None
            if body is None
            else json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        )
        return self._http.request(method, self.config.url.rstrip("/") + path, data, self._headers())

    def _asked(self, method: str, path: str, body: Any = None, *needed: str) -> dict[str, Any]:
        """The JSON object of a 2xx answer, which has the needed fields; NoAnswer where it is none, or has not."""
        return self._content(self._request(method, path, body), *needed)

    def _content(self, answer: requests.Response, *needed: str) -> dict[str, Any]:
        """As of `_asked`."""
        try:
            content = answer.json()
        except ValueError:
            raise self._senseless("is no JSON") from None
        missing = [name for name in needed if not isinstance(content, dict) or name not in content]
        if missing or not isinstance(content, dict):
            raise self._senseless(f"has no {', '.join(missing) or 'fields'}")
        return content

    def _senseless(self, what: str) -> NoAnswer:
        """For an answer that does not say what became of the rows: they may have arrived."""
        return NoAnswer(f"{self.kind}: the answer {what}. {OTHERWISE}", "senseless")
