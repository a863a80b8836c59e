"""Between Starlette and the handlers: tokens, both kinds of rate limit, ETags, pages with Link headers."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from sandbox.github.bodies import View
from sandbox.github.store import Repository, Store, Token
from sandbox.limits import Quota, RateLimiter

#: Rate-limit domains: the primary limit per hour, and the secondary one (900 points a minute, a GET is one).
CORE, SECONDARY = "core", "secondary"
PUBLISHED_LIMITS = {CORE: {3600: 5000}}

DOCS = "https://docs.github.com/rest"
LIMITS_PAGE = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"
#: Without an Authorization header: public repositories only.
ANONYMOUS = Token("-", frozenset())
_CREDENTIAL = re.compile(r"(?:bearer|token) +(\S+)", re.IGNORECASE)

Item = TypeVar("Item")


class ApiError(Exception):
    """Ends a request with `{message, documentation_url, status}`."""

    def __init__(
        self, status: int, message: str, page: str = DOCS, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.page = page
        self.headers = headers or {}


def not_found() -> ApiError:
    """Also for what the token may not see: GitHub does not reveal that it exists."""
    return ApiError(404, "Not Found")


@dataclass
class Call:
    """A request with everything that a handler needs to answer it."""

    request: Request
    store: Store
    token: Token
    headers: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    @property
    def base(self) -> str:
        """The host of links: the stand-in's own, as with the service, unless `link_base` is set."""
        return self.store.link_base or str(self.request.base_url).rstrip("/")

    @property
    def view(self) -> View:
        return View(self.base)

    def repository(self, *, deployments: bool = False) -> Repository:
        """The repository of the path, by name or (as in Link headers) by id; 404 if it is not visible."""
        path = self.request.path_params
        if "repository_id" in path:
            ids = {repository.id: repository for repository in self.store.repositories.values()}
            found = ids.get(path["repository_id"])
        else:
            found = self.store.find(path["owner"], path["repo"])
        seen = self.token.repositories
        moved = None if found else self._moved()
        known = found or moved
        if known is None or not (seen is None or known.full_name in seen or not known.private):
            raise not_found()
        if found is None:
            # Best practices for using the REST API: a renamed or transferred repository redirects.
            raise ApiError(301, "Moved Permanently", headers={"location": self._link(known)})
        if deployments and not self.token.deployments:
            raise ApiError(403, "Resource not accessible by personal access token")
        return found

    def _moved(self) -> Repository | None:
        path = self.request.path_params
        return None if "repository_id" in path else self.store.moved(path["owner"], path["repo"])

    def page(self, repository: Repository, items: Sequence[Item], show: Callable[[Item], Any]) -> Response:
        """30 items per page by default, at most 100; a value that is not a number is ignored."""
        size = min(self._number("per_page", 30), 100)
        page = self._number("page", 1)
        last = max(1, math.ceil(len(items) / size))
        pages = {}
        if page > 1:
            pages["prev"] = min(page - 1, last)
        if page < last:
            pages |= {"next": page + 1, "last": last}
        if page > 1:
            pages["first"] = 1
        if pages:
            self.headers["link"] = ", ".join(
                f'<{self._link(repository, number)}>; rel="{rel}"' for rel, number in pages.items()
            )
        return self.ok([show(item) for item in items[(page - 1) * size : page * size]])

    def ok(self, body: Any) -> Response:
        """200, or 304 when If-None-Match names the answer's ETag."""
        data = msgspec.json.encode(body)
        etag = f'W/"{hashlib.sha256(data).hexdigest()}"'
        self.headers["etag"] = etag
        known = [tag.strip() for tag in self.request.headers.get("if-none-match", "").split(",")]
        if etag in known or etag.removeprefix("W/") in known:
            return Response(None, 304, self.headers)
        return self.send(data, 200)

    def fail(self, error: ApiError) -> Response:
        self.headers |= error.headers
        body = {"message": error.message, "documentation_url": error.page, "status": str(error.status)}
        return self.send(msgspec.json.encode(body), error.status)

    def send(self, data: bytes, status: int) -> Response:
        return Response(data, status, self.headers, media_type="application/json; charset=utf-8")

    def _link(self, repository: Repository, number: int | None = None) -> str:
        """Real links go by the repository's id: docs.github.com, "Using pagination in the REST API"."""
        tail = re.sub(r"^/repos(/[^/]+){2}|^/repositories/\d+", "", self.request.url.path)
        query = urlencode({**self.request.query_params, **({} if number is None else {"page": number})})
        return f"{self.base}/repositories/{repository.id}{tail}{f'?{query}' if query else ''}"

    def _number(self, name: str, default: int) -> int:
        text = self.text(name)
        return int(text) if re.fullmatch(r"0*[1-9]\d{0,8}", text) else default


Handler = Callable[[Call], Awaitable[Response]]


def _credential(header: str) -> str:
    match = _CREDENTIAL.fullmatch(header)
    return match[1] if match else ""


class Guard:
    """Wraps handlers as endpoints: authentication, rate limits, then the handler's answer."""

    def __init__(self, store: Store, limiter: RateLimiter) -> None:
        self.store = store
        self.limiter = limiter

    def key_id(self, scope: Scope) -> str:
        """The name of the token, for the request log; `-` without a known token."""
        token = self.store.tokens.get(_credential(Headers(scope=scope).get("authorization", "")))
        return token.name if token else ANONYMOUS.name

    def error(self, status: int) -> Response:
        """An injected 429 is a secondary rate limit; 408, 500 and 503 are server errors."""
        call = Call(Request({"type": "http", "headers": []}), self.store, ANONYMOUS)
        return call.fail(self._secondary() if status == 429 else ApiError(status, "Server Error"))

    def endpoint(self, handler: Handler, *, free: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """`free`: does not count against the primary limit."""

        async def run(request: Request) -> Response:
            call = Call(request, self.store, ANONYMOUS)
            try:
                call.token = self.identify(request)
                return await (handler(call) if free else self._counted(call, handler))
            except ApiError as error:
                return call.fail(error)

        return run

    def identify(self, request: Request) -> Token:
        header = request.headers.get("authorization")
        if header is None:
            return ANONYMOUS
        token = self.store.tokens.get(_credential(header))
        if token is None:
            raise ApiError(401, "Bad credentials")
        return token

    def quota(self, token: Token) -> Quota | None:
        return self.limiter.quota(CORE, token.name)

    async def _counted(self, call: Call, handler: Handler) -> Response:
        """A 304 does not count against the primary limit (Best practices for using the REST API)."""
        owner = call.token.name
        if self.limiter.take(SECONDARY, owner) is not None:
            self._show(call)
            raise self._secondary()
        quota = self.quota(call.token)
        if quota is not None and quota.remaining == 0:
            self._show(call)
            message = "API rate limit exceeded for user ID 1."
            raise ApiError(403, message, f"{LIMITS_PAGE}#about-primary-rate-limits")
        try:
            response = await handler(call)
        except ApiError as error:
            response = call.fail(error)
        if response.status_code != 304:
            self.limiter.take(CORE, owner)
        self._show(call)
        response.headers.update(call.headers)
        return response

    def _show(self, call: Call) -> None:
        """x-ratelimit-reset is the UTC epoch second at which the window ends."""
        quota = self.quota(call.token)
        if quota is not None:
            call.headers |= {
                "x-ratelimit-limit": str(quota.limit),
                "x-ratelimit-remaining": str(quota.remaining),
                "x-ratelimit-used": str(quota.limit - quota.remaining),
                "x-ratelimit-reset": str(math.ceil(quota.resets_at)),
                "x-ratelimit-resource": CORE,
            }

    def _secondary(self) -> ApiError:
        """403 or 429, mostly with retry-after; x-ratelimit-remaining does not reflect it."""
        after = self.store.retry_after
        return ApiError(
            self.store.secondary_status,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            f"{LIMITS_PAGE}#about-secondary-rate-limits",
            {"retry-after": str(after)} if after else {},
        )
