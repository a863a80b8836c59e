"""How Jira Service Management answers: families of the API, their limits, and refusals in words.

Sources: developer.atlassian.com (JSM Operations API, JSM services API, Jira platform REST API v3 with
its rate limiting) and support.atlassian.com (API tokens).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

from opsgenie_provider.api.errors import (
    ApiStatusError,
    AuthenticationError,
    PermissionDeniedError,
    PlanError,
    QuotaError,
)
from opsgenie_provider.api.limits import Limits
from opsgenie_provider.api.transport import Dialect, ErrorDetail, Quota, Throttle

SERVICE = "Jira Service Management"
# No access to Operations: not in the plan, not enabled, or not for this account.
_NO_OPERATIONS = "40301"
# After an answer that says that a limit is near, the family waits this long.
_NEAR_LIMIT_PAUSE = 1.0
_LONGEST_QUOTA = 3600.0


@dataclass(frozen=True)
class Family:
    """A part of the API with a rate-limit bucket, a scope and ways of refusal of its own.

    :param prefixes: where it is served, below the base URL. The first is for an account's plain
        token. Whether a token with scopes is taken there is not published: where it is refused for
        its scope, the next is tried.
    """

    name: str
    domain: str
    scope: str
    prefixes: tuple[str, ...]


_OPERATIONS_PATHS = ("/jsm/ops/api/{cloud_id}/v1", "/ex/jira/{cloud_id}/jsm/ops/api/v1")
_JIRA_PATHS = ("/ex/jira/{cloud_id}/rest/api/3",)
OPERATIONS = Family("Operations", "operations", "read:ops-config:jira-service-management", _OPERATIONS_PATHS)
ALERTS = Family("alerts", "operations", "read:ops-alert:jira-service-management", _OPERATIONS_PATHS)
SERVICES = Family(
    "services", "services", "read:ops-config:jira-service-management", ("/jsm/api/{cloud_id}/v1",)
)
SEARCH = Family("search", "search", "read:jira-work", _JIRA_PATHS)
ISSUES = Family("issues", "issue", "read:jira-work", _JIRA_PATHS)
USERS = Family("users", "user", "read:jira-user", _JIRA_PATHS)

# Bursts are counted per endpoint, 100 a second as far as is known; Operations and services publish
# nothing. These stay far below.
LIMITS: Limits = {
    "operations": [(5, 1.0)],
    "services": [(5, 1.0)],
    "search": [(10, 1.0)],
    "issue": [(10, 1.0)],
    "user": [(5, 1.0)],
}


def explained(error: ApiStatusError, family: Family) -> ApiStatusError:
    """The same refusal as what it means here, with what a person can do about it."""
    kind, hint = _meaning(error, family)
    return kind(
        status=error.status,
        message=error.message,
        service=error.service,
        request=error.request,
        request_id=error.request_id,
        hint=hint,
        fields=error.fields,
        retry_after=error.retry_after,
        kind=error.kind,
    )


def _meaning(error: ApiStatusError, family: Family) -> tuple[type[ApiStatusError], str | None]:
    said = " ".join([error.message, *error.fields.values()]).lower()
    for_agents = family.domain in {OPERATIONS.domain, SERVICES.domain}
    if error.status == 401 and "scope" in said:
        # The token itself is good: what it lacks can be done without, as with any other missing right.
        return PermissionDeniedError, (
            f"The API token is valid, but lacks the scope {family.scope}, which {family.name} needs: "
            "make a token with it, or one without scopes."
        )
    if error.status == 401:
        why = _EXPIRED if "expire" in said else _UNKNOWN
        return AuthenticationError, f"{why} {_REPLACE_IT}" + (f" {NO_SERVICE_ACCOUNTS}" if for_agents else "")
    if error.status == 402:
        return PlanError, f"The site's plan does not include {family.name}."
    if error.status == 403 and error.kind == _NO_OPERATIONS:
        return PlanError, (
            f"The site's plan does not include {family.name}, or it is not switched on, or is closed to this "
            "account."
        )
    hint = error.hint
    if error.status == 403:
        hint = _NO_AGENT if for_agents else _NO_PRODUCT
    elif error.status == 404:
        hint = "It does not exist, or this account may not see it; if all is so, check the extra cloud_id."
    elif isinstance(error, QuotaError):
        hint = f"The quota of requests is used up; it is renewed in {error.retry_after or 0:.0f} s."
    return type(error), hint


_EXPIRED = "The API token has expired."
_UNKNOWN = (
    "The e-mail or the API token is wrong, or the token was revoked or has expired: it lives a year at most."
)
_REPLACE_IT = (
    "Make another one at id.atlassian.com, Security, and put it into the password of the connection; the "
    "login is the e-mail of the same account."
)
NO_SERVICE_ACCOUNTS = (
    "Operations refuses Atlassian service accounts, too: use the token of a person with an agent's licence."
)
_NO_AGENT = (
    "The account lacks an agent's licence of Jira Service Management, or a role in Operations. "
    f"{NO_SERVICE_ACCOUNTS}"
)
_NO_PRODUCT = (
    "The account may not use Jira on this site: give it access to Jira Service Management and the "
    "permission to browse the projects with the incidents."
)


def _detail(response: requests.Response) -> ErrorDetail:
    """Reads the error bodies of all families.

    Operations: {errors: [{title, code}]} or {code, message, requestId}; Jira: {errorMessages, errors}.
    """
    request_id = response.headers.get("Atl-Traceid") or response.headers.get("X-Request-Id")
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return ErrorDetail(response.reason or "no message", request_id)
    code, texts, fields = body.get("code"), [], {}
    if message := body.get("message") or body.get("errorMessage"):
        texts.append(str(message))
    if isinstance(listed := body.get("errorMessages"), list):
        texts += map(str, listed)
    errors = body.get("errors")
    if isinstance(errors, dict):
        fields = {str(name): str(text) for name, text in errors.items()}
    for error in errors if isinstance(errors, list) else ():
        if isinstance(error, dict):
            code = error.get("code") if code is None else code
            texts.append(str(error.get("title") or error.get("message") or error.get("detail") or "no title"))
        else:
            texts.append(str(error))
    return ErrorDetail(
        "; ".join(text.rstrip(".") for text in texts) or response.reason or "no message",
        str(body.get("requestId") or request_id or "") or None,
        fields,
        None if code is None else str(code),
    )


def _header(response: requests.Response, name: str) -> str:
    """A rate-limit header, which some answers prefix with Beta-."""
    return response.headers.get(name) or response.headers.get(f"Beta-{name}") or ""


def _throttle(response: requests.Response) -> Throttle:
    """Reads RateLimit-Reason: a burst passes in seconds, a quota lasts up to an hour.

    X-RateLimit-Reset is an instant, to the minute.
    """
    wait = 2.0
    if (retry_after := response.headers.get("Retry-After", "")).isdecimal():
        wait = float(retry_after) or wait
    else:
        # Without such a header, or one that is no instant, the wait above holds.
        with suppress(ValueError, TypeError):
            resets_at = datetime.fromisoformat(_header(response, "X-RateLimit-Reset"))
            wait = max(wait, (resets_at - datetime.now(UTC)).total_seconds())
    quota = "quota" in _header(response, "RateLimit-Reason").lower()
    return Throttle(wait=min(wait, _LONGEST_QUOTA), quota=quota)


def _near_limit(response: requests.Response) -> Quota | None:
    """Reads X-RateLimit-NearLimit (less than a fifth is left): a pause before the family's next request."""
    if _header(response, "X-RateLimit-NearLimit").lower() != "true":
        return None
    return Quota(limit=0, remaining=0, resets_in=_NEAR_LIMIT_PAUSE)


DIALECT = Dialect(service=SERVICE, hints={}, detail=_detail, throttle=_throttle, quota=_near_limit)
SITE_DIALECT = Dialect(service="The site", hints={}, detail=_detail, throttle=_throttle)
