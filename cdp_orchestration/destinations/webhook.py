"""Posts operations as JSON to an address of the user's own.

Body: {"sync", "run_id", "operations": [{"operation", "row_key", "idempotency_key", "fields": {...}}]}. A 2xx answer
accepts all rows, unless it is JSON with `results: [{row_key, status, message}]`, which then decides per row.
"""

import email.utils
import hashlib
import json
import random
import time
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pydantic
import requests
import urllib3

from cdp_orchestration.destinations.base import Destination, DestinationConfig, NoAnswer, Operation, Outcome
from cdp_orchestration.errors import Refused, StopAndTell

_EXCERPT = 300
_DEFAULT_PORTS = {"http": 80, "https": 443}
_RETRIED = {408, 425, 429}
# The server says that it did not take the request. After a 5xx it may have: a proxy answers 502, 503 or 504 also when
# the connection behind it broke after the request had gone through.
_SURELY_NOT_TAKEN = {408, 425, 429}


class WebhookConfig(DestinationConfig):
    """Where to post, how to prove who we are, how patient to be."""

    url: str = pydantic.Field(description="Address that takes the POST, http:// or https://.")
    account: str = pydantic.Field(
        default="",
        description="A name for what answers at the URL. With one, the ledger belongs to this name instead of the URL: give "
        "it where the same receiver moves from address to address. A name that is given or changed later is a new address.",
    )
    token: pydantic.SecretStr | None = pydantic.Field(
        default=None, description="Sent as `Authorization: Bearer <token>`. Take it from the environment."
    )
    headers: dict[str, pydantic.SecretStr] = pydantic.Field(
        default_factory=dict, description="Further request headers. Their values are never shown."
    )
    timeout_seconds: float = pydantic.Field(
        default=30, gt=0, description="How long to wait for a connection, and for each part of an answer."
    )
    attempts: int = pydantic.Field(
        default=5, ge=1, description="How often one request is tried on 408, 425, 429, 5xx and lost connections."
    )
    max_wait_seconds: float = pydantic.Field(
        default=60, ge=0, description="The longest wait between two tries; a longer Retry-After gives up until later."
    )
    requests_per_second: float | None = pydantic.Field(
        default=None, gt=0, description="The most requests in a second; leave out for no limit."
    )
    batch_size: int = pydantic.Field(default=500, ge=1, description="The most operations in one request.")

    @pydantic.field_validator("url")
    @classmethod
    def _has_scheme(cls, url: str) -> str:
        if "{{" not in url and not url.lower().startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url


class Webhook(Destination):
    """The destination kind `webhook`."""

    kind: ClassVar[str] = "webhook"
    Config: ClassVar[type[DestinationConfig]] = WebhookConfig

    def __init__(self, config: WebhookConfig, home_root: Path) -> None:
        """Raises StopAndTell for a token or header that cannot be sent, before any row is planned."""
        super().__init__(config, home_root)
        token = config.token.get_secret_value() if config.token else ""
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        for name, value in self._headers.items():
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                field = "token" if token and name == "Authorization" else f"headers.{name}"
                raise StopAndTell(
                    f"webhook: field '{field}' holds a line break, outer blanks or characters beyond ASCII, which a "
                    "header cannot carry. Correct the value in the environment."
                )
        self._secrets = [secret for secret in [token, *self._headers.values()] if secret]
        self._session = requests.Session()
        self._shown = _without_secrets(config.url)
        self._not_before = 0.0

    def address(self) -> str:
        """The account; without one, the URL without user, password, query and fragment. Host names know no case, and 443 is
        https anyway."""
        if self.config.account.strip():
            return f"account {self.config.account.strip()}"
        try:
            parts = urllib.parse.urlsplit(self.config.url.strip())
            scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
        except ValueError as error:
            raise StopAndTell(f"webhook: the field 'url' is no address ({error}). Correct it.") from None
        host = f"[{host}]" if ":" in host else host
        if port is not None and port != _DEFAULT_PORTS.get(scheme):
            host = f"{host}:{port}"
        return urllib.parse.urlunsplit((scheme, host, parts.path or "/", "", ""))

    def close(self) -> None:
        self._session.close()

    def send(self, sync: str, run_id: str, operations: list[Operation]) -> list[Outcome]:
        """One POST, tried again on passing faults. Raises Refused (4xx), NoAnswer, StopAndTell (401, 403, 3xx)."""
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
        answer = self._post_patiently(data, headers)
        return self._outcomes(answer, operations)

    def _post_patiently(self, data: bytes, headers: dict[str, str]) -> requests.Response:
        """A 2xx answer."""
        may_have_arrived = False
        for attempt in range(1, self.config.attempts + 1):
            code, asked = "", None
            try:
                answer = self._post(data, headers)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                # The error's own text holds the address with its query, and so perhaps a secret.
                code, what = "no_answer", _what_happened(error)
                may_have_arrived = may_have_arrived or not _surely_not_sent(error)
            else:
                if 200 <= answer.status_code < 300:
                    return answer
                code, what = str(answer.status_code), f"answered {answer.status_code}: {self._excerpt(answer)}"
                if answer.status_code not in _RETRIED and answer.status_code < 500:
                    raise self._final(answer, what, may_have_arrived)
                asked = _retry_after(answer.headers.get("Retry-After"))
                may_have_arrived = may_have_arrived or answer.status_code not in _SURELY_NOT_TAKEN
            if asked is not None and asked > self.config.max_wait_seconds:
                what += f" (it asks to wait {asked:.0f} s, more than max_wait_seconds)"
                break
            if attempt < self.config.attempts:
                time.sleep(asked if asked is not None else self._backoff(attempt))
        raise NoAnswer(
            f"webhook: {self._shown} {what}. The rows stay owed; the next delivery sends them.",
            code=code,
            may_have_arrived=may_have_arrived,
        )

    def _post(self, data: bytes, headers: dict[str, str]) -> requests.Response:
        if self.config.requests_per_second:
            time.sleep(max(0.0, self._not_before - time.monotonic()))
            self._not_before = time.monotonic() + 1 / self.config.requests_per_second

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As `auth`, because otherwise requests lets a ~/.netrc entry replace the Authorization header.
            request.headers.update(self._headers)
            return request

        try:
            return self._session.post(
                self.config.url,
                data=data,
                headers=headers,
                auth=authorize,
                timeout=self.config.timeout_seconds,
                allow_redirects=False,
            )
        except (ValueError, requests.exceptions.InvalidHeader) as error:
            # InvalidURL, MissingSchema and InvalidSchema are ValueErrors.
            raise StopAndTell(
                f"webhook: {self._shown} cannot be called ({type(error).__name__}). Correct the field 'url' or 'headers'."
            ) from None
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise
            raise StopAndTell(
                f"webhook: the certificate of {self._shown} is not trusted. Correct the field 'url', or let the "
                "receiver's administrator renew the certificate."
            ) from None

    def _final(self, answer: requests.Response, what: str, may_have_arrived: bool) -> Exception:
        status = answer.status_code
        if 400 <= status < 500 and status not in (401, 403):
            return Refused(self._excerpt(answer) or f"answered {status}", code=str(status))
        if status in (401, 403):
            told = f"webhook: {self._shown} {what}. Check the field 'token' (and that 'url' is the right address)."
        else:
            target = _without_secrets(answer.headers.get("Location", ""))
            told = (
                f"webhook: {self._shown} redirects ({status}) to {target or 'nowhere'}, and a POST is not sent on "
                "blindly. Set the field 'url' to the final address."
            )
        stop = StopAndTell(told)
        stop.code, stop.may_have_arrived = str(status), may_have_arrived  # type: ignore[attr-defined]
        return stop

    def _outcomes(self, answer: requests.Response, operations: list[Operation]) -> list[Outcome]:
        code = str(answer.status_code)
        results = _results(answer)
        if results is None:
            return [Outcome(operation.row_key, "accepted", code) for operation in operations]
        missing = {"status": "", "message": "the receiver did not answer for this row"}
        outcomes = []
        for operation in operations:
            result = results.get(operation.row_key, missing)
            status, message = result.get("status"), self._clean(str(result.get("message") or ""))
            outcomes.append(
                Outcome(operation.row_key, "accepted" if _is_good(status) else "refused", _code(status), message)
            )
        return outcomes

    def _backoff(self, attempt: int) -> float:
        """Full jitter, so that many senders do not come back at once."""
        return min(self.config.max_wait_seconds, 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)

    def _excerpt(self, answer: requests.Response) -> str:
        return self._clean(" ".join(answer.text.split()))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:  # some servers repeat the request in their answer
            text = text.replace(secret, "***")
        return text[:_EXCERPT]


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


def _retry_after(value: str | None) -> float | None:
    """Seconds from now; the header holds seconds or an HTTP date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _surely_not_sent(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _what_happened(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    return "could not be reached" if _surely_not_sent(error) else f"broke the connection ({type(error).__name__})"


def _without_secrets(url: str) -> str:
    """Scheme, host and path: user, password and query may be secrets."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "the address in 'url'"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
