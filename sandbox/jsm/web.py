"""The layer between Starlette and the handlers: access, rate limits, parameters, paging, answers."""

from __future__ import annotations

import math
import re
import uuid
import zoneinfo
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sandbox.instants import MINUTE, SECOND, to_datetime
from sandbox.jsm import access
from sandbox.jsm.access import NOBODY, Family
from sandbox.jsm.errors import ApiError, Shape, bad_request, invalid
from sandbox.jsm.model import Json
from sandbox.jsm.store import Store, Token
from sandbox.limits import RateLimiter

#: Jira's burst limit is per tenant, endpoint and method; none is documented for Operations and services.
PUBLISHED_LIMITS = {
    family.name: {1: 100} for family in (access.SEARCH, access.ISSUE, access.USER, access.JIRA)
}
#: Share of a limit below which answers have X-RateLimit-NearLimit.
NEAR = 0.2


@dataclass
class Call:
    """A request with everything that a handler needs to answer it."""

    request: Request
    store: Store
    family: Family
    token: Token = NOBODY
    headers: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    def many(self, name: str) -> list[str]:
        """The values of a parameter, which may be repeated or separated by commas."""
        values = self.request.query_params.getlist(name)
        return [part.strip() for value in values for part in value.split(",") if part.strip()]

    @property
    def path(self) -> dict[str, str]:
        return dict(self.request.path_params)

    @cached_property
    def zone(self) -> tzinfo:
        """The caller's time zone, in which Jira formats and reads times."""
        account = self.store.accounts.get(self.token.account_id)
        return zoneinfo.ZoneInfo(account.time_zone if account else "Etc/UTC")

    def number(self, name: str, default: int, low: int = 0, high: int = 2**31 - 1) -> int:
        """An int32 parameter; if it is invalid or out of bounds, 400 in Jira, 422 elsewhere."""
        text = self.text(name)
        if not text:
            return default
        if re.fullmatch(r"-?\d{1,10}", text) and low <= int(text) <= high:
            return int(text)
        message = f"{name} should be a number between {low} and {high}."
        raise bad_request(message) if self.family.shape is Shape.JIRA else invalid(message)

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        value = self.text(name) or default
        if value not in allowed:
            raise invalid(f"{name} should be one of {', '.join(allowed)}.")
        return value

    def expand(self, *allowed: str) -> set[str]:
        """The values of `expand` in Operations, repeated or separated by commas."""
        wanted = set(self.many("expand"))
        if wanted - set(allowed):
            raise invalid(f"expand should be one of {', '.join(allowed)}.")
        return wanted

    def size(self, default: int, most: int) -> int:
        """`size` in Operations, whose maximum is 50 or 100."""
        if self.store.switches.size_over_cap_fails:
            return self.number("size", default, 1, most)
        return min(self.number("size", default, 1), most)

    def values(self, items: Sequence[Json], default: int, most: int, **tail: Any) -> Response:
        """A page of Operations: `{values, links{next}}`, `next` relative and without the cloud id."""
        size, offset = self.size(default, most), self.number("offset", 0)
        stuck = self.store.switches.stuck_paging
        start = 0 if stuck else offset
        more = stuck or offset + size < len(items)
        page = list(items[start : start + size])
        path = f"/v1/{self.request.url.path.split('/v1/', 1)[1]}"
        query = urlencode({"offset": start + size, "size": size})
        return self.ok({"values": page, **tail, **self.links(f"{path}?{query}" if more else None)})

    def links(self, next_: str | None) -> Json:
        if next_ is None and self.store.switches.last_link == "absent":
            return {"links": {}}
        return {"links": {"next": next_}}

    def ok(self, body: Any) -> Response:
        renamed = self.store.switches.renamed
        if renamed and isinstance(body, dict):
            body = {renamed.get(name, name): value for name, value in body.items()}
        return self.send(msgspec.json.encode(body), 200)

    def fail(self, error: ApiError) -> Response:
        shape = self.family.shape
        if shape is Shape.OPS:
            shape = Shape(self.store.switches.error_shape)
        self.headers |= error.headers
        return self.send(msgspec.json.encode(error.body(shape, str(uuid.uuid4()))), error.status)

    def send(self, body: bytes, status: int) -> Response:
        return Response(body, status, self.headers, media_type="application/json")


Handler = Callable[[Call], Awaitable[Response]]


class Guard:
    """Wraps handlers as endpoints: site, authentication, rate limits, permissions, then the answer."""

    def __init__(self, store: Store, limiter: RateLimiter) -> None:
        self.store = store
        self.limiter = limiter

    def key_id(self, scope: Scope) -> str:
        """The token's name, for the request log; `-` without a credential, `?` with an unknown token."""
        header = Headers(scope=scope).get("authorization", "")
        token = access.known(self.store, header)
        return token.name if token else "?" if header else "-"

    def error(self, status: int) -> Response:
        """The answer for an injected 408, 429, 500 or 503; a 503 may have Retry-After."""
        call = Call(Request({"type": "http", "headers": []}), self.store, access.JIRA)
        if status == 429:
            self._limit_headers(call, refused=True)
            return call.fail(ApiError(429, "Rate limit exceeded."))
        if status == 503 and self.store.switches.retry_after:
            call.headers["Retry-After"] = str(self.store.switches.retry_after)
        return call.fail(ApiError(status, "Internal server error"))

    def endpoint(
        self, handler: Handler, family: Family, scope: str, *, direct_ops: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """`scope`: required of a token with scopes."""

        async def run(request: Request) -> Response:
            call = Call(request, self.store, family)
            try:
                access.check_site(self.store, call.path["cloud_id"])
                call.token = access.identify(self.store, request.headers.get("authorization", ""), family)
                self._count(call)
                access.check_scope(self.store, call.token, scope, direct_ops)
                if family.operations:
                    access.check_operations(self.store, call.token)
                return await handler(call)
            except ApiError as error:
                return call.fail(error)

        return run

    def _count(self, call: Call) -> None:
        """Count the request against the site's bucket for the family."""
        refused = self.limiter.take(call.family.name) is not None
        self._limit_headers(call, refused)
        if refused:
            raise ApiError(429, "Rate limit exceeded.")

    def _limit_headers(self, call: Call, refused: bool) -> None:
        quota = self.limiter.quota(call.family.name)
        left = quota.resets_at - self.limiter.time() if quota else 1
        seconds = self.store.switches.retry_after or max(1, math.ceil(left))
        if refused:
            call.headers["Retry-After"] = str(seconds)
        if call.family.shape is not Shape.JIRA:
            if self.store.switches.ops_limit_headers:
                state = "THROTTLED" if refused else "OK"
                call.headers |= {"X-RateLimit-State": state, "X-RateLimit-Period-In-Sec": "60"}
            return
        limit, remaining = (quota.limit, quota.remaining) if quota else (100, 0)
        beta = "Beta-" if self.store.switches.beta_headers else ""
        if quota:
            call.headers |= {
                f"{beta}X-RateLimit-Limit": str(limit),
                f"{beta}X-RateLimit-Remaining": str(remaining),
            }
            if beta:
                call.headers |= {
                    "Beta-RateLimit": f'"burst";r={remaining};t={seconds}',
                    "Beta-RateLimit-Policy": f'"burst";q={limit};w={seconds}',
                }
        if refused:
            # In whole minutes, so a minute is added: it must not be before the real reset.
            reset = to_datetime(self.store.clock() + seconds * SECOND + MINUTE)
            call.headers |= {
                f"{beta}X-RateLimit-Reset": f"{reset:%Y-%m-%dT%H:%M}Z",
                f"{beta}RateLimit-Reason": self.store.switches.limit_reason,
            }
        elif quota and remaining < limit * NEAR:
            call.headers[f"{beta}X-RateLimit-NearLimit"] = "true"
