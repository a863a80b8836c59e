"""Sends requests for all clients: pacing, bounded retries, decoding, errors, and redaction of keys.

What differs between services, how they report errors and rate limits, is in their ``Dialect``.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NoReturn, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential
from urllib3.exceptions import NewConnectionError

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.dialect import Dialect
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
# A 429 is not counted as a failed attempt: it is retried until this many seconds have passed.
MAX_SECONDS_OF_429 = 900.0
# Answers to a key without the right: what was known of its rights may no longer hold.
DENIED = (401, 402, 403)
_REDIRECT_STATUSES = (301, 302, 307, 308)
_backoff = wait_random_exponential(multiplier=0.3, max=20)

# JSON may contain U+0000 and lone surrogates; PostgreSQL's text and jsonb cannot.
# Escaped backslashes and surrogate pairs are matched too, as the group, so that neither is split.
_UNSTORABLE = re.compile(
    rb"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\u(?:0000|d[89a-f][0-9a-f]{2})", re.IGNORECASE
)


def checked_credential(pasted: str, what: str) -> str:
    """A key or token without the blanks around it.

    :raises ValueError: it cannot be one; the message does not contain it.
    """
    credential = pasted.strip()
    if not credential or " " in credential or not credential.isascii() or not credential.isprintable():
        raise ValueError(
            f"The {what} is empty, or contains blanks, line breaks or characters that no {what} has: copy it "
            "again into the password of the connection, without a word such as GenieKey or Bearer before it."
        )
    return credential


class HeaderAuth(AuthBase):
    """An ``Authorization`` header that requests does not override from .netrc, and no repr shows.

    :raises ValueError: the key cannot be sent in a header. (requests would reject it too, but with an
        error that contains the key.)
    """

    def __init__(self, scheme: str, key: str) -> None:
        self._scheme, self._key = scheme, checked_credential(key, "API key")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"{self._scheme}{self._key}"
        return request

    def hide(self, text: str) -> str:
        """The text with the key redacted, in case the service has repeated it."""
        return text.replace(self._key, "***")


class Transport:
    """Sends requests to one base URL and decodes the JSON that comes back.

    Safe to use from several threads.

    :param session: a requests session with TLS and proxy settings applied.
    :param base_url: scheme and host; the key is sent nowhere else.
    :param timeout: seconds to connect, and seconds to wait for data.
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
        self._counter_lock = threading.Lock()
        # Resolved once: requests would otherwise look up proxies and certificates for every request.
        # The session's own verify is passed, or REQUESTS_CA_BUNDLE would override it.
        self._environment = session.merge_environment_settings(self.base_url, {}, None, session.verify, None)

    def get(
        self,
        path: str,
        *,
        domain: str,
        params: Mapping[str, Any] | None = None,
        into: type[T],
        links: MutableMapping[str, Any] | None = None,
    ) -> T:
        """GET ``path`` and decode its JSON into ``into``, retrying transient errors.

        :param domain: the rate-limit domain of the request.
        :param links: receives what the answer's Link header names, by relation.
        """
        answer: T = _retrying(is_transient)(
            self._attempt, "GET", path, domain=domain, params=params, into=into, links=links
        )
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
        """Send a write, retried only where it is known that the service did not apply it.

        :raises UnknownOutcomeError: it may have been applied; the cause says what went wrong.
        """
        try:
            answer: T = _retrying(was_not_applied)(
                self._attempt, method, path, domain=domain, params=params, into=into, body=body
            )
        except NotSentError:
            raise
        except (ApiConnectionError, InvalidResponseError, ServerError) as error:
            raise UnknownOutcomeError(f"{error} It is unknown whether the write was applied.") from error
        return answer

    def url_for(self, path: str) -> str:
        """The absolute URL of a path or link.

        :raises ForeignHostError: the link leads to another host than the connection's.
        """
        if "://" not in path:
            return f"{self.base_url}{path}"
        ours, theirs = urlsplit(self.base_url), urlsplit(path)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            raise ForeignHostError(
                f"{self.dialect.service} at {ours.netloc} linked to another host, {theirs.netloc}; "
                "the key is not sent there. Check the host of the connection."
            )
        return path

    def _attempt(
        self,
        method: str,
        path: str,
        *,
        domain: str,
        params: Mapping[str, Any] | None,
        into: type[T],
        body: Any = None,
        links: MutableMapping[str, Any] | None = None,
    ) -> T:
        request = f"{method} {urlsplit(path).path}"
        prepared = self._session.prepare_request(
            requests.Request(method, self.url_for(path), params=params, json=body, auth=self._auth)
        )
        self.limiter.acquire(domain)
        with self._counter_lock:
            self.requests_sent += 1
        try:
            response = self._session.send(
                prepared, timeout=self._timeout, allow_redirects=False, **self._environment
            )
        except requests.RequestException as error:
            # The message of a requests error may contain the whole URL; its type says enough.
            error_type = NotSentError if _never_connected(error) else ApiConnectionError
            raise error_type(
                f"{self.dialect.service} at {urlsplit(self.base_url).netloc} gave no answer to {request} "
                f"({type(error).__name__}). Check the host of the connection, the network and the proxy."
            ) from None
        if quota := self.dialect.quota(response):
            self.limiter.pause_if_exhausted(
                domain, limit=quota.limit, remaining=quota.remaining, resets_in=quota.resets_in
            )
        if pause := self.dialect.pause(response):
            self.limiter.pause(domain, pause)
        if response.status_code >= 300:
            self._raise_error(response, request, domain)
        if links is not None:
            links.update(response.links)
        return self._decode(response, request, into)

    def _raise_error(self, response: requests.Response, request: str, domain: str) -> NoReturn:
        status = response.status_code
        detail = self.dialect.detail(response)
        throttled = self.dialect.is_throttled(response)
        retry_after = _retry_after_header(response) if throttled or status == 503 else None
        if throttled:
            with self._counter_lock:
                self.requests_refused += 1
            throttle = self.dialect.throttle(response)
            retry_after = throttle.wait if retry_after is None or throttle.quota else retry_after
            # A longer wait is left to Airflow's retry of the task.
            if retry_after <= MAX_SECONDS_OF_429 and not throttle.quota:
                self.limiter.pause_after_refusal(domain, wait=retry_after, period=throttle.period)
        error_type = error_class(status)
        if status in DENIED and not throttled:
            with self._counter_lock:
                self.requests_denied += 1
        if throttled:
            error_type = QuotaError if throttle.quota else RateLimitError
        elif status in _REDIRECT_STATUSES:
            error_type = RedirectError
        error = error_type(
            status=status,
            message=self._auth.hide(detail.message),
            service=self.dialect.service,
            request=request,
            # Anything that the service sends may repeat the key.
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
        # No Content: nothing, where the endpoint documents that there may be nothing.
        content = b"null" if response.status_code == 204 else response.content
        try:
            return decode_into(storable(content), into)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            content_type = response.headers.get("Content-Type", "no content type")
            raise InvalidResponseError(
                f"{self.dialect.service} answered {response.status_code} to {request}, but not with the JSON "
                f"that it documents ({content_type}, {len(response.content)} bytes: {error}). "
                "A proxy may have answered in its place, or the answer was cut off."
            ) from None


def _retrying(is_retryable: Callable[[BaseException], bool]) -> Retrying:
    return Retrying(
        retry=retry_if_exception(is_retryable), wait=_wait, stop=_stop, before_sleep=_log_retry, reraise=True
    )


def _never_connected(error: requests.RequestException) -> bool:
    """Whether no connection was made, so that nothing was sent."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def storable(body: bytes) -> bytes:
    """The JSON with U+FFFD in place of characters that PostgreSQL cannot store."""
    if b"\\u" not in body:
        return body
    return _UNSTORABLE.sub(lambda match: match[1] or rb"\ufffd", body)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed if repeated."""
    if isinstance(error, ServerError):
        return error.status != 501
    if isinstance(error, QuotaError):
        return False
    return isinstance(error, ApiConnectionError | InvalidResponseError | RateLimitError)


def was_not_applied(error: BaseException) -> bool:
    """Whether a write certainly had no effect, and may succeed if repeated."""
    return isinstance(error, NotSentError | RateLimitError)


def _wait(state: RetryCallState) -> float:
    error = _error_of(state)
    if isinstance(error, ApiStatusError) and error.retry_after is not None:
        return error.retry_after
    return _backoff(state)


def _stop(state: RetryCallState) -> bool:
    error = _error_of(state)
    retry_after = error.retry_after if isinstance(error, ApiStatusError) else None
    if retry_after is not None and (state.seconds_since_start or 0.0) + retry_after > MAX_SECONDS_OF_429:
        return True
    # A 429 is not a failed attempt: only the time above limits it.
    return not isinstance(error, RateLimitError) and state.attempt_number >= MAX_ATTEMPTS


def _log_retry(state: RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0.0
    log.warning("Attempt %d failed: %s Retrying in %.1f s.", state.attempt_number, _error_of(state), wait)


def _error_of(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    return error or ApiError("no outcome")


def _location(response: requests.Response) -> str | None:
    """Where a redirect leads. A client that follows it must check it with ``url_for`` first."""
    try:
        return urljoin(response.url, response.headers["Location"])
    except (KeyError, ValueError):
        return None


def _retry_after_header(response: requests.Response) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3); None where it is absent, 0, or in its rare date form."""
    value = response.headers.get("Retry-After", "")
    return (min(float(value), MAX_SECONDS_OF_429) or None) if value.isdecimal() else None
