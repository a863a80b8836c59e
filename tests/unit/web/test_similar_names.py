"""Which deployed service a service without deployments may be."""

from __future__ import annotations

import pytest

from opsgenie_provider.web.similar_names import suggestions

DEPLOYED = ["checkout", "search", "payments-api", "payments-gateway", "user-profile", "auth", "billing"]


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("checkout-svc", "checkout"),
        ("Checkout Service", "checkout"),
        ("prod_checkout", "checkout"),
        ("checkouts", "checkout"),
        ("payments", "payments-api"),
        ("payments gateway v2", "payments-gateway"),
        ("userprofile", "user-profile"),
        ("team-billing", "billing"),
        ("mail", None),
        ("oauth2-proxy", None),
        ("service", None),
        ("---", None),
    ],
)
def test_names_that_differ_by_a_hair(name: str, like: str | None) -> None:
    assert suggestions([name], DEPLOYED).get(name) == like
