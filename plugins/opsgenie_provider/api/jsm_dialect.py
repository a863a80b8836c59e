"""How Jira Service Management reports errors and rate limits, per family of its API.

Sources: developer.atlassian.com (JSM Operations API, JSM services API, Jira platform REST API v3 with
its rate limiting) and support.atlassian.com (API tokens).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

from opsgenie_provider.api.dialect import Dialect, ErrorDetail, Throttle
from opsgenie_provider.api.errors import (
    ApiStatusError,
    AuthenticationError,
    PermissionDeniedError,
    PlanError,
    QuotaError,
)
from opsgenie_provider.api.limits import Limits
from opsgenie_provider.instants import utc_instant

SERVICE_NAME = "Jira Service Management"
# Error code: Operations is not in the plan, not enabled, or not available to this account.
_NO_OPERATIONS = "40301"
# Seconds that a family pauses after an answer that reports a nearly exhausted limit.
_NEAR_LIMIT_PAUSE = 1.0
_MAX_QUOTA_WAIT = 3600.0


@dataclass(frozen=True)
class Family:
    """A part of the API with its own rate limit, token scope and error hints.

    :param domain: its rate-limit domain.
    :param scope: the scope that a scoped API token needs for it.
    :param prefixes: its paths below the base URL. The first is for a token without scopes. Whether it
        accepts a scoped token is not documented: where it rejects the scope, the next is tried.
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

# Burst limits are per endpoint, as far as is known 100 per second; Operations and services document
# none. These stay far below.
LIMITS: Limits = {
    "operations": [(5, 1.0)],
    "services": [(5, 1.0)],
    "search": [(10, 1.0)],
    "issue": [(10, 1.0)],
    "user": [(5, 1.0)],
}


def explain(error: ApiStatusError, family: Family) -> ApiStatusError:
    """The error as the class that fits its meaning in this family, with a hint for a person."""
    error_type, hint = _meaning(error, family)
    return error.copy_as(error_type, hint=hint)


def refused_to_this_account(error: ApiStatusError) -> PermissionDeniedError:
    """A 401 of Operations or of services, where the rest of the API accepts the same credentials."""
    return error.copy_as(
        PermissionDeniedError, hint=f"The API token is valid, but not accepted here. {NO_SERVICE_ACCOUNTS}"
    )


def _meaning(error: ApiStatusError, family: Family) -> tuple[type[ApiStatusError], str | None]:
    messages = " ".join([error.message, *error.fields.values()]).lower()
    for_agents = family.domain in {OPERATIONS.domain, SERVICES.domain}
    if error.status == 401 and "scope" in messages:
        # The token itself is valid, so this is a missing right like any other.
        return PermissionDeniedError, (
            f"The API token is valid, but lacks the scope {family.scope}, which {family.name} needs: "
            "create a token with that scope, or one without scopes."
        )
    if error.status == 401:
        cause = _EXPIRED if "expire" in messages else _UNKNOWN
        return AuthenticationError, f"{cause} {_REPLACE_IT}" + (
            f" {NO_SERVICE_ACCOUNTS}" if for_agents else ""
        )
    if error.status == 402:
        return PlanError, f"The site's plan does not include {family.name}."
    if error.status == 403 and error.kind == _NO_OPERATIONS:
        return PlanError, (
            f"The site's plan does not include {family.name}, or it is not enabled, or this account has no "
            "access to it."
        )
    hint = error.hint
    if error.status == 403:
        hint = _NO_AGENT if for_agents else _NO_PRODUCT
    elif error.status == 404:
        hint = (
            "It does not exist, or this account may not see it; if every request fails so, check the extra "
            "cloud_id of the connection."
        )
    elif isinstance(error, QuotaError):
        hint = f"The request quota is used up; it resets in {error.retry_after or 0:.0f} s."
    return type(error), hint


_EXPIRED = "The API token has expired."
_UNKNOWN = (
    "The e-mail or the API token is wrong, or the token was revoked or has expired: it is valid for a year "
    "at most."
)
_REPLACE_IT = (
    "Create another one at id.atlassian.com, Security, and put it into the password of the connection; the "
    "login is the e-mail of the same account."
)
NO_SERVICE_ACCOUNTS = (
    "Operations also rejects Atlassian service accounts: use the token of a person with an agent's licence."
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
    """A rate-limit header, which some answers prefix with ``Beta-``; '' where it is absent."""
    return response.headers.get(name) or response.headers.get(f"Beta-{name}") or ""


def _throttle(response: requests.Response) -> Throttle:
    """Reads RateLimit-Reason: a burst limit resets within seconds, a quota within an hour.

    X-RateLimit-Reset is an instant, to the minute.
    """
    wait = 2.0
    if (retry_after := response.headers.get("Retry-After", "")).isdecimal():
        wait = float(retry_after) or wait
    else:
        # Without the header, or with one that is not an instant, the default above applies.
        with suppress(ValueError, TypeError):
            resets_at = utc_instant(_header(response, "X-RateLimit-Reset"))
            wait = max(wait, (resets_at - datetime.now(UTC)).total_seconds())
    quota = "quota" in _header(response, "RateLimit-Reason").lower()
    return Throttle(wait=min(wait, _MAX_QUOTA_WAIT), quota=quota)


def _pause(response: requests.Response) -> float:
    """Reads X-RateLimit-NearLimit (less than a fifth is left): pauses the family's next request."""
    return _NEAR_LIMIT_PAUSE if _header(response, "X-RateLimit-NearLimit").lower() == "true" else 0.0


DIALECT = Dialect(service=SERVICE_NAME, hints={}, detail=_detail, throttle=_throttle, pause=_pause)
SITE_DIALECT = Dialect(service="The site", hints={}, detail=_detail, throttle=_throttle)
