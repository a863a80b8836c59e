"""The layer between Starlette and the handlers: keys, rights, rate limits, paging, envelopes."""

from __future__ import annotations

import base64
import binascii
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sandbox.limits import RateLimiter
from sandbox.opsgenie.errors import (
    BAD_KEY_FORMAT,
    NO_PERMISSION,
    NOT_AUTHENTICATED,
    NOT_SUPPORTED,
    OFFSET_CAP,
    TEAM_KEY,
    ApiError,
    missing_right,
    too_many,
    unprocessable,
)
from sandbox.opsgenie.store import Key, Store

MAX_WINDOW = 20_000
PLANS_WITHOUT_INCIDENTS = ("Free", "Essentials")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass
class Call:
    """A request with everything that a handler needs to answer it."""

    request: Request
    store: Store
    key: Key
    started: float
    request_id: str
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def params(self) -> dict[str, str]:
        return dict(self.request.query_params)

    @property
    def path(self) -> dict[str, str]:
        return dict(self.request.path_params)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """An integer parameter; 422 if it is not an integer or out of bounds."""
        text = self.params.get(name, "")
        if not text:
            return default
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise unprocessable(f"Request parameter [{name}] should be an integer.", {name: "Invalid number"})
        value = int(text)
        if not low <= value <= high:
            raise unprocessable(f"{name} should be between {low} and {high}", {name: "Out of range"})
        return value

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        value = self.params.get(name) or default
        if value not in allowed:
            raise unprocessable(f"Request parameter [{name}] should be one of {', '.join(allowed)}")
        return value

    def window(self, default: int = 20, most: int = 100) -> tuple[int, int]:
        """(offset, limit). Their sum must stay below 20,000 (K-Phoen/backstage-plugin-opsgenie#81)."""
        limit = self.number("limit", default, 1, most)
        offset = self.number("offset", 0, 0, 10**9)
        if offset + limit >= MAX_WINDOW:
            raise ApiError(422, OFFSET_CAP)
        return offset, limit

    def reply(self, data: bytes, status: int = 200, **tail: Any) -> Response:
        """The envelope `{data, ..., took, requestId}` around encoded data."""
        end = msgspec.json.encode({**tail, **self._foot()})
        return self._send(b'{"data":' + data + b"," + end[1:], status)

    def ok(self, data: Any, **tail: Any) -> Response:
        return self.reply(msgspec.json.encode(data), **tail)

    def accepted(self) -> Response:
        """202 for an asynchronous write."""
        return self._send(msgspec.json.encode({"result": "Request will be processed", **self._foot()}), 202)

    def page(
        self,
        items: Sequence[bytes],
        total: int,
        offset: int,
        limit: int,
        *,
        counted: bool = True,
        **shown: str,
    ) -> Response:
        """A list page with absolute first, next, prev and last links, which include `shown`.

        `counted`: whether it has a totalCount, as incidents and users do, and services do not.
        """
        paging = self._links(total, offset, limit, shown)
        self.headers |= {f"X-Paging-{name.capitalize()}": url for name, url in paging.items()}
        tail: dict[str, Any] = {"totalCount": total} if counted else {}
        return self.reply(b"[" + b",".join(items) + b"]", **tail, paging=paging)

    def fail(self, error: ApiError) -> Response:
        body: dict[str, Any] = {"message": error.message}
        if error.code is not None:
            body = {"code": error.code, **body}
        if error.errors:
            body["errors"] = error.errors
        self.headers |= error.headers
        return self._send(msgspec.json.encode({**body, **self._foot()}), error.status)

    def base_url(self) -> str:
        """The host of links: the stand-in's own, as with the service, unless `paging_base` is set."""
        return self.store.paging_base or str(self.request.base_url).rstrip("/")

    def _links(self, total: int, offset: int, limit: int, defaults: dict[str, str]) -> dict[str, str]:
        last = (total - 1) // limit * limit if total else 0
        offsets = {"first": 0, "last": last}
        if offset + limit < total:
            offsets["next"] = offset + limit
        if offset > 0:
            offsets["prev"] = max(0, offset - limit)
        stem = f"{self.base_url()}{self.request.url.path}?"
        kept = {**defaults, **{k: v for k, v in self.params.items() if k not in ("offset", "limit")}}
        return {
            name: stem + urlencode({**kept, "limit": limit, "offset": at})
            for name, at in sorted(offsets.items())
        }

    def _foot(self) -> dict[str, Any]:
        return {"took": round(time.perf_counter() - self.started, 6), "requestId": self.request_id}

    def _send(self, body: bytes, status: int) -> Response:
        headers = {
            "X-Request-Id": self.request_id,
            "X-Response-Time": f"{time.perf_counter() - self.started:.3f}",
            "X-RateLimit-State": "OK",
            "X-RateLimit-Reason": "ACCOUNT",
            "X-RateLimit-Period-In-Sec": "60",
            **self.headers,
        }
        return Response(body, status, headers, media_type="application/json")


Handler = Callable[[Call], Awaitable[Response]]


def _credential(header: str) -> str | None:
    """The key of `GenieKey <key>`, or of Basic with an empty user name."""
    scheme, _, rest = header.partition(" ")
    if scheme == "GenieKey":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password if not name else None
    return None


def identify(store: Store, header: str) -> Key:
    """The key of an Authorization header, or a 401 (422 if it does not have the format of a key)."""
    secret = _credential(header)
    if not secret:
        raise ApiError(401, NOT_AUTHENTICATED)
    key = store.keys.get(secret)
    if key is not None and key.region == store.region:
        return key
    if key is None and not _UUID.fullmatch(secret):
        raise ApiError(422, BAD_KEY_FORMAT)
    raise ApiError(401, NOT_AUTHENTICATED)


class Guard:
    """Wraps handlers as endpoints: authentication, rate limits, rights, then the handler's answer."""

    def __init__(self, store: Store, limiter: RateLimiter) -> None:
        self.store = store
        self.limiter = limiter

    def key_id(self, scope: Scope) -> str:
        """The name of the key, for the request log; `-` without a known key."""
        key = self.store.keys.get(_credential(Headers(scope=scope).get("authorization", "")) or "")
        return key.name if key else "-"

    def error(self, status: int) -> Response:
        """The answer for an injected 429, 500 or 503."""
        call = self._call(Request({"type": "http", "headers": []}))
        return call.fail(
            too_many(60) if status == 429 else ApiError(status, "Internal server error occurred")
        )

    def endpoint(
        self, handler: Handler, domain: str, *rights: str, incidents: bool = False, account: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """`incidents`: requires a plan with incidents. `account`: not allowed for a team's key."""

        async def run(request: Request) -> Response:
            call = self._call(request)
            try:
                call.key = identify(self.store, request.headers.get("authorization", ""))
                # The buckets belong to the account, not to the key.
                empty = self.limiter.take(domain)
                if empty is not None:
                    raise too_many(empty)
                if incidents and self.store.plan in PLANS_WITHOUT_INCIDENTS:
                    refusal = self.store.plan_refusal
                    code = NOT_SUPPORTED if refusal == 403 else None
                    raise ApiError(refusal, "Your plan does not include this feature.", code=code)
                if account and call.key.team is not None:
                    raise ApiError(403, TEAM_KEY, code=NO_PERMISSION)
                for right in rights:
                    if right not in call.key.rights:
                        raise missing_right(right)
                self.store.requests.run_due()
                return await handler(call)
            except ApiError as error:
                return call.fail(error)

        return run

    def _call(self, request: Request) -> Call:
        return Call(request, self.store, Key("-", frozenset()), time.perf_counter(), str(uuid.uuid4()))
