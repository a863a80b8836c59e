"""One request, done well: pacing, bounded retries, decoding, errors, and keys kept out of sight.

The clients of all services stand on this. A ``Dialect`` says how one service authenticates,
names its errors and asks for patience.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from urllib3.exceptions import NewConnectionError

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import (
    ApiConnectionError,
    ApiError,
    ApiStatusError,
    ForeignHostError,
    InvalidResponseError,
    NotSentError,
    QuotaError,
    RateLimitError,
    RedirectError,
    ServerError,
    UnknownOutcomeError,
    error_class,
)
from opsgenie_provider.api.limits import RateLimiter

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
MAX_ATTEMPTS = 8
# A 429 is not a failure but a request for patience; it ends only when patience does.
MAX_SECONDS_OF_429 = 900.0
# What a key is told that may not do something: what was known of its rights may hold no longer.
DENIED = (401, 402, 403)
_MOVED = (301, 302, 307, 308)
_backoff = wait_random_exponential(multiplier=0.3, max=20)

# JSON may hold U+0000 and half surrogate pairs; PostgreSQL's text and jsonb cannot.
# Escaped backslashes and whole pairs are matched too, as the group, so that neither is cut in two.
_UNSTORABLE = re.compile(
    rb"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\u(?:0000|d[89a-f][0-9a-f]{2})", re.IGNORECASE
)


class HeaderAuth(AuthBase):
    """An ``Authorization`` header that requests neither overrides from .netrc nor shows in a repr.

    :raises ValueError: the key cannot stand in a header; what refuses it further down would show it.
    """

    def __init__(self, scheme: str, key: str) -> None:
        self._scheme, self._key = scheme, key.strip()
        if not self._key or not self._key.isascii() or not self._key.isprintable():
            raise ValueError(
                "The API key is empty, or holds line breaks or letters that no key has: copy it once more "
                "into the password of the connection."
            )

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"{self._scheme}{self._key}"
        return request

    def hide(self, text: str) -> str:
        """The text without the key, should the service have repeated it."""
        return text.replace(self._key, "***")


@dataclass(frozen=True)
class ErrorDetail:
    """What an error answer says: the message, the request id, messages per field, the kind of error."""

    message: str
    request_id: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None


@dataclass(frozen=True)
class Throttle:
    """What a 429 says: how long to wait, and the window (both seconds) that was exceeded.

    :param quota: whether it is a quota that is used up: not waited for, but a ``QuotaError`` at once.
    """

    wait: float
    period: float | None = None
    quota: bool = False


@dataclass(frozen=True)
class Quota:
    """What an answer tells of its rate limit: a window of ``limit`` requests that ends in seconds."""

    limit: int
    remaining: int
    resets_in: float


@dataclass(frozen=True)
class Dialect:
    """How one service speaks.

    :param service: its name in messages.
    :param hints: status -> what a person can do about it.
    :param detail: reads an error answer.
    :param throttle: reads the service's own headers of an answer that asks for patience.
    :param is_throttled: tells such an answer from others.
    :param quota: reads what is left of the rate limit, where every answer tells.
    """

    service: str
    hints: Mapping[int, str]
    detail: Callable[[requests.Response], ErrorDetail]
    throttle: Callable[[requests.Response], Throttle]
    is_throttled: Callable[[requests.Response], bool] = lambda response: response.status_code == 429
    quota: Callable[[requests.Response], Quota | None] = lambda response: None


class Transport:
    """Sends requests to one base URL and decodes the JSON that comes back.

    :param session: a requests session with TLS and proxy settings applied.
    :param base_url: scheme and host; the key goes nowhere else.
    """

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        *,
        auth: HeaderAuth,
        dialect: Dialect,
        limiter: RateLimiter | None = None,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.limiter = limiter or RateLimiter()
        self.dialect = dialect
        self.requests_sent = 0
        self.requests_refused = 0
        self.requests_denied = 0
        self._session = session
        self._auth = auth
        self._timeout = timeout
        self._counting = threading.Lock()
        # Resolved once: requests would look up proxies and certificates anew for every request.
        # The session's own verify is named, or REQUESTS_CA_BUNDLE would override it.
        self._environment = session.merge_environment_settings(self.base_url, {}, None, session.verify, None)

    def get(self, path: str, *, domain: str, params: Mapping[str, Any] | None = None, into: type[T]) -> T:
        """GET ``path`` and decode its JSON into ``into``, repeating what failed in passing."""
        answer: T = _retrying(may_pass)(self._once, "GET", path, domain=domain, params=params, into=into)
        return answer

    def write(
        self,
        method: str,
        path: str,
        *,
        domain: str,
        into: type[T],
        body: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """Send a write, repeated only where it is known not to have happened.

        :raises UnknownOutcomeError: it may have happened; the cause is what went wrong.
        """
        try:
            answer: T = _retrying(did_not_happen)(
                self._once, method, path, domain=domain, params=params, into=into, body=body
            )
        except NotSentError:
            raise
        except (ApiConnectionError, InvalidResponseError, ServerError) as error:
            raise UnknownOutcomeError(f"{error} Whether it was done is not known.") from error
        return answer

    def url_for(self, path: str) -> str:
        """The absolute URL of a path, or of a link that must stay on the connection's host."""
        if "://" not in path:
            return f"{self.base_url}{path}"
        ours, theirs = urlsplit(self.base_url), urlsplit(path)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            raise ForeignHostError(
                f"{self.dialect.service} at {ours.netloc} linked to another host, {theirs.netloc}; "
                "the key is not sent there. Check the host of the connection."
            )
        return path

    def _once(
        self,
        method: str,
        path: str,
        *,
        domain: str,
        params: Mapping[str, Any] | None,
        into: type[T],
        body: Any = None,
    ) -> T:
        request = f"{method} {urlsplit(path).path}"
        prepared = self._session.prepare_request(
            requests.Request(method, self.url_for(path), params=params, json=body, auth=self._auth)
        )
        self.limiter.acquire(domain)
        with self._counting:
            self.requests_sent += 1
        try:
            response = self._session.send(
                prepared, timeout=self._timeout, allow_redirects=False, **self._environment
            )
        except requests.RequestException as error:
            # The text of a requests error may hold the whole URL; its kind says enough.
            kind = NotSentError if _never_connected(error) else ApiConnectionError
            raise kind(
                f"{self.dialect.service} at {urlsplit(self.base_url).netloc} gave no answer to {request} "
                f"({type(error).__name__}). Check the host of the connection, the network and the proxy."
            ) from None
        if quota := self.dialect.quota(response):
            self.limiter.told(domain, limit=quota.limit, remaining=quota.remaining, resets_in=quota.resets_in)
        if response.status_code >= 300:
            self._refuse(response, request, domain)
        return self._decode(response, request, into)

    def _refuse(self, response: requests.Response, request: str, domain: str) -> NoReturn:
        status = response.status_code
        detail = self.dialect.detail(response)
        throttled = self.dialect.is_throttled(response)
        retry_after = _retry_after_header(response) if throttled or status == 503 else None
        if throttled:
            with self._counting:
                self.requests_refused += 1
            throttle = self.dialect.throttle(response)
            retry_after = throttle.wait if retry_after is None or throttle.quota else retry_after
            # A longer wait is not for a task to sleep through, but for its next try.
            if retry_after <= MAX_SECONDS_OF_429 and not throttle.quota:
                self.limiter.refused(domain, wait=retry_after, period=throttle.period)
        kind = error_class(status)
        if status in DENIED and not throttled:
            with self._counting:
                self.requests_denied += 1
        if throttled:
            kind = QuotaError if throttle.quota else RateLimitError
        elif status in _MOVED:
            kind = RedirectError
        error = kind(
            status=status,
            message=self._auth.hide(detail.message),
            service=self.dialect.service,
            request=request,
            # All that comes from outside may repeat the key.
            request_id=self._auth.hide(detail.request_id) if detail.request_id else None,
            hint=self.dialect.hints.get(429 if throttled else status),
            fields={self._auth.hide(name): self._auth.hide(text) for name, text in detail.fields.items()},
            retry_after=retry_after,
            kind=detail.kind,
        )
        if isinstance(error, RedirectError):
            error.location = _location(response)
        raise error

    def _decode(self, response: requests.Response, request: str, into: type[T]) -> T:
        try:
            return decode_into(storable(response.content), into)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            kind = response.headers.get("Content-Type", "no content type")
            raise InvalidResponseError(
                f"{self.dialect.service} answered {response.status_code} to {request} with something "
                f"that is not the JSON it promises ({kind}, {len(response.content)} bytes: {error}). "
                "Something between here and the service may have answered in its place, or cut it off."
            ) from None


def _retrying(worth_it: Callable[[BaseException], bool]) -> Retrying:
    return Retrying(
        retry=retry_if_exception(worth_it), wait=_wait, stop=_stop, before_sleep=_log_retry, reraise=True
    )


def _never_connected(error: requests.RequestException) -> bool:
    """Whether the connection itself failed, so that nothing was sent."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def storable(body: bytes) -> bytes:
    """The same JSON with U+FFFD in place of what PostgreSQL cannot store."""
    if b"\\u" not in body:
        return body
    return _UNSTORABLE.sub(lambda match: match[1] or rb"\ufffd", body)


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed if repeated."""
    if isinstance(error, ServerError):
        return error.status != 501
    if isinstance(error, QuotaError):
        return False
    return isinstance(error, ApiConnectionError | InvalidResponseError | RateLimitError)


def did_not_happen(error: BaseException) -> bool:
    """Whether a write surely had no effect, and may have one if repeated."""
    return isinstance(error, NotSentError | RateLimitError)


def _wait(state: RetryCallState) -> float:
    error = _error_of(state)
    if isinstance(error, ApiStatusError) and error.retry_after is not None:
        return error.retry_after
    return _backoff(state)


def _stop(state: RetryCallState) -> bool:
    error = _error_of(state)
    told = error.retry_after if isinstance(error, ApiStatusError) else None
    if told is not None and (state.seconds_since_start or 0.0) + told > MAX_SECONDS_OF_429:
        return True
    # A 429 is not a failure: it ends only with our patience.
    return not isinstance(error, RateLimitError) and state.attempt_number >= MAX_ATTEMPTS


def _log_retry(state: RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    log.warning("Attempt %d: %s Trying again in %.1f s.", state.attempt_number, _error_of(state), wait)


def _error_of(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    return error or ApiError("no outcome")


def _location(response: requests.Response) -> str | None:
    """Where a redirect leads. Nobody goes there but a client that asks ``url_for`` first."""
    try:
        return urljoin(response.url, response.headers["Location"])
    except (KeyError, ValueError):
        return None


def _retry_after_header(response: requests.Response) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3), where it asks for any wait at all.

    Its date form is as rare as it is unneeded here.
    """
    value = response.headers.get("Retry-After", "")
    return (min(float(value), MAX_SECONDS_OF_429) or None) if value.isdecimal() else None
