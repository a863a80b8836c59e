"""The layer between Starlette and the handlers: keys, rate limits, parameters, paging, envelopes."""

from __future__ import annotations

import math
import re
import zoneinfo
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sandbox.instants import Nanos
from sandbox.limits import RateLimiter
from sandbox.pagerduty import dates
from sandbox.pagerduty.bodies import View
from sandbox.pagerduty.errors import (
    ApiError,
    access_denied,
    broken,
    invalid,
    invalid_date,
    offset_cap,
    too_many,
    unauthorized,
)
from sandbox.pagerduty.model import Json
from sandbox.pagerduty.store import Key, Store

#: The only rate-limit domain: 960 requests per minute and account key, or per user for all of a user's keys.
REST = "rest"
PUBLISHED_LIMITS = {REST: {60: 960}}

MAX_WINDOW = 10_000
NOBODY = Key("-")
_TOKEN = re.compile(r"Token token=(\S+)")

Item = TypeVar("Item")


@dataclass
class Call:
    """A request with everything that a handler needs to answer it."""

    request: Request
    store: Store
    key: Key
    headers: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    def many(self, name: str) -> list[str]:
        """The values of `name[]`; without the brackets, the parameter does not exist."""
        return self.request.query_params.getlist(f"{name}[]")

    def number(self, name: str, default: int) -> int:
        text = self.text(name)
        if not text:
            return default
        if not re.fullmatch(r"\d{1,9}", text):
            raise invalid(f"{name.capitalize()} is invalid.")
        return int(text)

    def zone(self, default: str) -> tzinfo:
        """time_zone, an IANA name."""
        name = self.text("time_zone") or default
        if name == "UTC":
            return UTC
        try:
            return zoneinfo.ZoneInfo(name)
        except (KeyError, ValueError, OSError) as problem:
            raise invalid("Time zone is invalid.") from problem

    def instant(self, name: str, zone: tzinfo) -> Nanos | None:
        text = self.text(name)
        try:
            return dates.parse(text, zone) if text else None
        except ValueError as problem:
            raise invalid_date(name) from problem

    def view(self, zone: tzinfo = UTC) -> View:
        """Unknown values of include[] have no effect."""
        return View(self.store, zone, frozenset(self.many("include")))

    def page(self, name: str, items: Sequence[Item], show: Callable[[Item], Json]) -> Response:
        """Classic paging (developer.pagerduty.com, Pagination): 25 items by default, at most 100.

        `total` is null unless requested, and may exceed the 10,000 items that paging can reach.
        """
        limit = min(self.number("limit", 25), 100)
        offset = self.number("offset", 0)
        if limit == 0:
            raise invalid("Limit is invalid.")
        if offset + limit > MAX_WINDOW:
            raise offset_cap()
        return self.ok(
            {
                name: [show(item) for item in items[offset : offset + limit]],
                "limit": limit,
                "offset": offset,
                "more": offset + limit < len(items),
                "total": len(items) if self.text("total") == "true" else None,
            }
        )

    def ok(self, body: Json) -> Response:
        return self._send(msgspec.json.encode(body), 200)

    def fail(self, error: ApiError) -> Response:
        if error.status == 429 and self.store.bare_429:
            return Response(b"", 429)
        return self._send(msgspec.json.encode(error.body(self.store.error_style)), error.status)

    def _send(self, body: bytes, status: int) -> Response:
        return Response(body, status, self.headers, media_type="application/json")


Handler = Callable[[Call], Awaitable[Response]]


def _credential(header: str) -> str:
    """The key of `Token token=KEY` (02-Authentication); Bearer is for OAuth tokens only."""
    match = _TOKEN.fullmatch(header)
    return match[1] if match else ""


def identify(store: Store, header: str) -> Key:
    """The key of an Authorization header; keys of other regions are unknown (python-pagerduty 6.1.0)."""
    key = store.keys.get(_credential(header))
    if key is None or key.region != store.region:
        raise unauthorized()
    return key


class Guard:
    """Wraps handlers as endpoints: authentication, rate limits, then the handler's answer."""

    def __init__(self, store: Store, limiter: RateLimiter) -> None:
        self.store = store
        self.limiter = limiter

    def key_id(self, scope: Scope) -> str:
        """The name of the key, for the request log; `-` without a known key."""
        key = self.store.keys.get(_credential(Headers(scope=scope).get("authorization", "")))
        return key.name if key else NOBODY.name

    def error(self, status: int) -> Response:
        """The answer for an injected 408, 429, 500 or 503."""
        call = Call(Request({"type": "http", "headers": []}), self.store, NOBODY)
        if status == 429:
            most = self.limiter.limits.get(REST, PUBLISHED_LIMITS[REST]).get(60, 960)
            call.headers = _rate_headers(most, 0, 30)
        return call.fail(too_many() if status == 429 else broken(status))

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Response:
            call = Call(request, self.store, NOBODY)
            try:
                call.key = identify(self.store, request.headers.get("authorization", ""))
                self._count(call)
                return await handler(call)
            except ApiError as error:
                return call.fail(error)

        return run

    def refuse(self, request: Request, error: ApiError) -> Response:
        """The answer to an unknown path or method, after checking the key and whether it may write."""
        call = Call(request, self.store, NOBODY)
        try:
            call.key = identify(self.store, request.headers.get("authorization", ""))
            if request.method not in ("GET", "HEAD") and call.key.read_only:
                raise access_denied()
            raise error
        except ApiError as problem:
            return call.fail(problem)

    def _count(self, call: Call) -> None:
        """ratelimit-reset is in seconds (04-Rate-Limits)."""
        owner = call.key.user or call.key.name
        refused = self.limiter.take(REST, owner) is not None
        quota = self.limiter.quota(REST, owner)
        if quota is not None:
            seconds = max(0, math.ceil(quota.resets_at - self.limiter.time()))
            call.headers = _rate_headers(quota.limit, quota.remaining, seconds)
        if refused:
            raise too_many()


def _rate_headers(limit: int, remaining: int, seconds: int) -> dict[str, str]:
    return {
        "ratelimit-limit": str(limit),
        "ratelimit-remaining": str(remaining),
        "ratelimit-reset": str(seconds),
    }
