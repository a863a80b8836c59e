"""Authentication and authorization: each kind of wrong credential has its own error answer."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from sandbox.jsm.errors import (
    NO_OPERATIONS,
    SCOPE,
    UNAUTHORIZED,
    ApiError,
    Shape,
    forbidden,
    unauthorized,
)
from sandbox.jsm.store import Store, Token

#: The caller without a known token.
NOBODY = Token("-", "", frozenset(), role="none", projects=())


@dataclass(frozen=True, slots=True)
class Family:
    """An API family, with its own rate limit and shape of errors."""

    name: str
    shape: Shape
    operations: bool = False


SEARCH = Family("search", Shape.JIRA)
ISSUE = Family("issue", Shape.JIRA)
USER = Family("user", Shape.JIRA)
JIRA = Family("jira", Shape.JIRA)
OPS = Family("ops", Shape.OPS, operations=True)
SERVICES = Family("services", Shape.OPS)


def credential(header: str) -> tuple[str, str] | None:
    """(e-mail, token) of Basic authentication."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        email, colon, secret = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (email, secret) if colon else None


def known(store: Store, header: str) -> Token | None:
    """The token of an Authorization header, if the e-mail is its account's; it may have expired."""
    parsed = credential(header)
    if parsed is None:
        return None
    email, secret = parsed
    token = store.tokens.get(secret)
    account = store.accounts.get(token.account_id) if token else None
    if token is None or account is None:
        return None
    return token if account.email.casefold() == email.casefold() else None


def check_site(store: Store, cloud_id: str) -> None:
    """Check that the site exists.

    :raises ApiError: 404; it does not.
    """
    if not store.switches.site_known or cloud_id != store.cloud_id:
        raise ApiError(404, "Not Found", shape=Shape.GATEWAY)


def identify(store: Store, header: str, family: Family) -> Token:
    """The token of an Authorization header; ``NOBODY`` where anonymous access is allowed.

    :raises ApiError: 401; the e-mail or token is wrong, or the token has expired.
    """
    token = known(store, header)
    if token is not None and not _has_expired(store, token):
        return token
    if store.switches.anonymous_search and family in (SEARCH, ISSUE, JIRA):
        return NOBODY
    raise unauthorized((token and store.switches.expired_message) or UNAUTHORIZED)


def _has_expired(store: Store, token: Token) -> bool:
    """Whether the token has expired; each call counts as a use of it."""
    if token.expires_after is not None:
        token.expires_after -= 1
        if token.expires_after < 0:
            return True
    return token.expires_at is not None and token.expires_at <= store.clock()


def check_scope(store: Store, token: Token, scope: str, direct_ops: bool) -> None:
    """Check the token's scope. `direct_ops`: the path is /jsm/ops/api, not the gateway's /ex/jira.

    :raises ApiError: 401; the token is valid, but lacks the scope.
    """
    rejected = direct_ops and token.scopes is not None and not store.switches.scoped_tokens_on_ops
    if token is not NOBODY and (rejected or not token.has(scope)):
        raise unauthorized(SCOPE)


def check_operations(store: Store, token: Token) -> None:
    """Check that plan and user have Operations.

    :raises ApiError: 401 to 403; they do not.
    """
    plan = store.switches.operations
    if plan == "402":
        raise ApiError(402, "Your plan does not include this feature.", "PAYMENT_REQUIRED")
    if plan == "40301":
        raise ApiError(403, NO_OPERATIONS, "40301", shape=Shape.OPSGENIE)
    if token.service_account:
        status = store.switches.service_account_status
        raise forbidden() if status == 403 else unauthorized()
    if not token.licensed and store.switches.unlicensed == "403":
        raise ApiError(403, "User does not have a Jira Service Management agent license.", "FORBIDDEN")
