"""One patient HTTP client for connectors of both directions: retries, Retry-After, rate, timeouts, and no secret in any message.

It raises by what the caller should do: NoAnswer (a passing fault that outlasted the tries), Refused (another 4xx),
NeedsAPerson (refused credentials, a redirect, an address that cannot be called). A redirect is never followed: it would
carry the credentials to wherever the other side points.
"""

import email.utils
import logging
import random
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pydantic
import requests
import urllib3

from cdp_orchestration.errors import CdpError, NeedsAPerson, NoAnswer, Refused

# Its debug messages show paths and queries, which may be secrets (a Slack webhook's path is one).
logging.getLogger("urllib3").setLevel(logging.INFO)

_EXCERPT = 300
# The server says that it did not take the request now. After a 5xx it may have: a proxy answers 502, 503 or 504 also when
# the connection behind it broke after the request had gone through.
_NOT_TAKEN = {408, 425, 429}


class HttpConfig(pydantic.BaseModel):
    """The fields of a connector that speaks HTTP: how to prove who we are, how patient to be."""

    url: str = pydantic.Field(description="Address, http:// or https://.")
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

    @pydantic.field_validator("url")
    @classmethod
    def _has_scheme(cls, url: str) -> str:
        if "{{" not in url and not url.lower().startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url


@dataclass(frozen=True)
class Wait:
    """An answer that says: not now. seconds: how long, where it says that, too."""

    seconds: float | None = None


# What an API's own words make of an answer: try again, or an error to raise; None: what HTTP says.
Verdict = Callable[[requests.Response], Wait | CdpError | None]


class HttpClient:
    """A session that sends the connector's headers with each request. `kind` begins its messages."""

    def __init__(
        self,
        kind: str,
        config: HttpConfig,
        otherwise: str,
        authorization: str = "",
        secret_field: str = "token",
        secrets: Iterable[str] = (),
        verdict: Verdict | None = None,
    ) -> None:
        """`otherwise` is what happens when a passing fault outlasts all tries, as a sentence for the operator.

        authorization: the header, where it is not `Bearer <token>`. secret_field: the field to check when the other side
        refuses it. secrets: further texts that no message may show. verdict: asked about each answer first.
        Raises NeedsAPerson for a token or header that cannot be sent, before anything is.
        """
        self.kind = kind
        self.config = config
        self.otherwise = otherwise
        self.secret_field = secret_field
        self.verdict = verdict
        token = config.token.get_secret_value() if config.token else ""
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        if authorization or token:
            self._headers["Authorization"] = authorization or f"Bearer {token}"
        for name, value in self._headers.items():
            if not (value.isascii() and value.isprintable() and value == value.strip()):
                ours = (authorization or token) and name == "Authorization"
                field = secret_field if ours else f"headers.{name}"
                raise NeedsAPerson(
                    f"{kind}: field '{field}' holds a line break, outer blanks or characters beyond ASCII, which a "
                    "header cannot carry. Correct the value in the environment."
                )
        said = [*self._headers.values()]
        said += [value.partition(" ")[2] for value in said]  # of `Basic …` the part that matters
        self._secrets = [secret for secret in [token, *secrets, *said] if secret]
        self._session = requests.Session()
        self._not_before = 0.0

    def close(self) -> None:
        self._session.close()

    def request(
        self, method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """A 2xx answer, after as many tries as it takes. Raises NoAnswer, Refused, NeedsAPerson, as the module says."""
        shown = self.clean(without_secrets(url))
        may_have_arrived = False
        for attempt in range(1, self.config.attempts + 1):
            code, asked = "", None
            try:
                answer = self._once(method, url, data, headers)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                # The error's own text holds the address with its query, and so perhaps a secret.
                code, what = "no_answer", _what_happened(error)
                may_have_arrived = may_have_arrived or not _surely_not_sent(error)
            else:
                said = self.verdict(answer) if self.verdict else None
                if isinstance(said, CdpError):
                    raise said
                if said is None and 200 <= answer.status_code < 300:
                    return answer
                code, what = str(answer.status_code), f"answered {answer.status_code}: {self._excerpt(answer)}"
                if said is None and answer.status_code not in _NOT_TAKEN and answer.status_code < 500:
                    raise self._final(method, shown, answer, what, may_have_arrived)
                asked = _retry_after(answer.headers.get("Retry-After"))
                if asked is None and said is not None:
                    asked = said.seconds
                not_taken = said is not None or answer.status_code in _NOT_TAKEN
                may_have_arrived = may_have_arrived or not not_taken
            if asked is not None and asked > self.config.max_wait_seconds:
                what += f" (it asks to wait {asked:.0f} s, more than max_wait_seconds)"
                break
            if attempt < self.config.attempts:
                time.sleep(asked if asked is not None else self._backoff(attempt))
        raise NoAnswer(f"{self.kind}: {shown} {what}. {self.otherwise}", code, may_have_arrived)

    def clean(self, text: str) -> str:
        """The beginning of a text of the other side's, without our secrets: some servers repeat the request in their answer."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:_EXCERPT]

    def _once(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str] | None) -> requests.Response:
        if self.config.requests_per_second:
            time.sleep(max(0.0, self._not_before - time.monotonic()))
            self._not_before = time.monotonic() + 1 / self.config.requests_per_second

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As `auth`, because otherwise requests lets a ~/.netrc entry replace the Authorization header.
            request.headers.update(self._headers)
            return request

        try:
            return self._session.request(
                method,
                url,
                data=data,
                headers=headers,
                auth=authorize,
                timeout=self.config.timeout_seconds,
                allow_redirects=False,
            )
        except (ValueError, requests.exceptions.InvalidHeader) as error:
            # InvalidURL, MissingSchema and InvalidSchema are ValueErrors.
            raise NeedsAPerson(
                f"{self.kind}: {without_secrets(url)} cannot be called ({type(error).__name__}). Correct the field 'url' "
                "or 'headers'."
            ) from None
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise
            raise NeedsAPerson(
                f"{self.kind}: the certificate of {without_secrets(url)} is not trusted. Correct the field 'url', or let "
                "its administrator renew the certificate."
            ) from None

    def _final(
        self, method: str, shown: str, answer: requests.Response, what: str, may_have_arrived: bool
    ) -> Refused | NeedsAPerson:
        """What an answer means that no further try would change."""
        status = answer.status_code
        if 400 <= status < 500 and status not in (401, 403):
            return Refused(self._excerpt(answer) or f"answered {status}", code=str(status))
        if status in (401, 403):
            message = f"{self.kind}: {shown} {what}. Check the field '{self.secret_field}' (and that 'url' is the right address)."
        else:
            target = without_secrets(answer.headers.get("Location", ""))
            message = (
                f"{self.kind}: {shown} redirects ({status}) to {target or 'nowhere'}, and a {method} is not sent on "
                "blindly. Set the field 'url' to the final address."
            )
        return NeedsAPerson(message, str(status), may_have_arrived)

    def _backoff(self, attempt: int) -> float:
        """Full jitter, so that many senders do not come back at once."""
        return min(self.config.max_wait_seconds, 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)

    def _excerpt(self, answer: requests.Response) -> str:
        return self.clean(" ".join(answer.text.split()))


def without_secrets(url: str) -> str:
    """Scheme, host and path: user, password and query may be secrets."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "the address in 'url'"
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


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
