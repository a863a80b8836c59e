"""A client of Jira Service Management for the tests, and where each family is served."""

from __future__ import annotations

from typing import Any

import requests

from opsgenie_provider.api.jsm import JsmClient
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.rows.jsm_site import SiteSettings

SITE, API, CLOUD = (
    "https://acme.atlassian.net",
    "https://api.atlassian.com",
    "11111111-aaaa-bbbb-cccc-000000000001",
)
OPERATIONS = f"{API}/jsm/ops/api/{CLOUD}/v1"
SERVICES = f"{API}/jsm/api/{CLOUD}/v1/services/"
JIRA = f"{API}/ex/jira/{CLOUD}/rest/api/3"
EMAIL, TOKEN = "ann@example.com", "ATATT3xFfGF0-c4nary"


def client_of(limiter: RateLimiter | None = None, **settings: Any) -> JsmClient:
    return JsmClient(
        requests.Session(),
        API,
        cloud_id=CLOUD,
        email=EMAIL,
        token=TOKEN,
        settings=SiteSettings(SITE, **settings),
        limiter=limiter,
    )
