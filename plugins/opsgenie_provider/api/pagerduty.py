"""The read side of PagerDuty's REST API v2. Nothing here sends anything but GET.

Sources: PagerDuty's api-schema and developer docs (authentication, rate limits, errors, regions).
"""

from __future__ import annotations

import msgspec
import requests

from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.transport import Dialect, ErrorDetail, HeaderAuth, Throttle, Transport

HOSTS = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}
HINTS = {
    401: "The key is unknown here: check the password of the connection and the region (a US key is "
    "refused by the EU host, and the other way round).",
    402: "The account's plan does not include this API.",
    403: "The key lacks access: use a read-only account key, or a user key that sees every team.",
    404: "Check the host of the connection: it is the API's base URL, without a path.",
}


class _Abilities(msgspec.Struct):
    abilities: list[str]


class PagerdutyClient:
    """Reads one PagerDuty account. Safe to use from several threads."""

    def __init__(
        self, session: requests.Session, base_url: str, key: str, *, limiter: RateLimiter | None = None
    ) -> None:
        session.headers["Accept"] = "application/vnd.pagerduty+json;version=2"
        self.transport = Transport(
            session, base_url, auth=HeaderAuth("Token token=", key), dialect=DIALECT, limiter=limiter
        )

    def abilities(self) -> list[str]:
        """What the account's plan can do; the cheapest check of a key of either kind."""
        return self.transport.get("/abilities", domain="rest", into=_Abilities).abilities


def _detail(response: requests.Response) -> ErrorDetail:
    """Reads {error: {message, code, errors}}; ``error`` may be a bare text, ``errors`` a map or a list."""
    request_id = response.headers.get("X-Request-Id")
    try:
        error = response.json().get("error")
    except (ValueError, RecursionError, AttributeError):
        error = None
    if not isinstance(error, dict):
        return ErrorDetail(str(error or response.reason or "no message"), request_id)
    errors = error.get("errors")
    if not isinstance(errors, dict):
        listed = errors if isinstance(errors, list) else filter(None, [errors])
        errors = dict(enumerate(listed, start=1))
    fields = {str(name): str(text) for name, text in errors.items()}
    return ErrorDetail(str(error.get("message") or response.reason), request_id, fields)


def _throttle(response: requests.Response) -> Throttle:
    """Reads ratelimit-reset: seconds until the window of a minute ends; a 429 may come without it."""
    value = response.headers.get("ratelimit-reset", "")
    return Throttle(wait=min(float(value), 60.0) if value.isdecimal() else 5.0, period=60.0)


DIALECT = Dialect(service="PagerDuty", hints=HINTS, detail=_detail, throttle=_throttle)
