"""What the Test button of a ``jsm_api`` connection says: what each family of the API answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from opsgenie_provider.api.errors import ApiError, AuthenticationError, PlanError
from opsgenie_provider.api.jsm import JsmClient
from opsgenie_provider.api.jsm_dialect import NO_SERVICE_ACCOUNTS
from opsgenie_provider.api.jsm_jira import Myself
from opsgenie_provider.api.jsm_jql import without_order

_SERVICE_ACCOUNT = "@serviceaccount.atlassian.com"


class Finding(NamedTuple):
    """What one family said.

    :param good: whether it was reached, or is missing for a reason that no connection can change.
    """

    good: bool
    says: str


def check(connect: Callable[[], JsmClient]) -> tuple[bool, str]:
    """Try each family once; what one of them refuses does not keep the others from being tried."""
    try:
        client = connect()
    except (ApiError, ValueError) as error:
        return False, f"Site: {error}"
    site = Finding(True, f"Site: {client.settings.site} is known.")
    account = _attempt("Account", lambda: _account(client.jira.myself()))
    findings = [
        site,
        account,
        *(
            _attempt(family, partial(ask, client), token_works=account.good)
            for family, ask in (("Operations", _operations), ("Services", _services), ("Search", _search))
        ),
    ]
    return all(finding.good for finding in findings), " ".join(finding.says for finding in findings)


def _attempt(family: str, ask: Callable[[], Finding], *, token_works: bool | None = None) -> Finding:
    """What a family says; ``token_works``: whether the account's own page took the credentials."""
    try:
        finding = ask()
    except AuthenticationError as error:
        if token_works is None:
            return Finding(False, f"{family}: {error}")
        if not token_works:
            return Finding(False, f"{family}: refused likewise ({error.status}).")
        return Finding(
            False, f"{family}: refused ({error.message}), though the token is accepted. {NO_SERVICE_ACCOUNTS}"
        )
    except PlanError as error:
        return Finding(True, f"{family}: not available; skipped. {error}")
    except (ApiError, ValueError) as error:
        return Finding(False, f"{family}: {error}")
    return Finding(finding.good, f"{family}: {finding.says}")


def _account(myself: Myself) -> Finding:
    name = myself.displayName or myself.accountId
    if myself.accountType == "app" or (myself.emailAddress or "").lower().endswith(_SERVICE_ACCOUNT):
        return Finding(
            False,
            f"{name} is an Atlassian service account or an app, which Operations refuses: use the token of "
            "a person with an agent's licence.",
        )
    if myself.accountType == "customer":
        return Finding(
            False,
            f"{name} is a customer of the portal, without an agent's licence: give it one, or use another.",
        )
    return Finding(True, f"the token is accepted; it is {name}'s.")


def _operations(client: JsmClient) -> Finding:
    client.operations.first_schedule()
    if client.operations.is_admin():
        return Finding(True, "reached; the account sees all of it.")
    return Finding(
        True,
        "reached. The account is no Operations admin, and sees its own teams and schedules only: what it "
        "does not see is never marked deleted.",
    )


def _services(client: JsmClient) -> Finding:
    return Finding(True, "reached." if client.first_service() else "reached; it lists none.")


def _search(client: JsmClient) -> Finding:
    """One incident; the fields that the connection names are looked up as well."""
    incidents = client.incidents
    found = client.jira.search(without_order(incidents.jql), size=1).issues
    return Finding(True, "reached." if found else "reached; it lists no incident.")
