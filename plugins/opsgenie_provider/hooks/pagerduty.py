"""The hook of the connection type ``pagerduty_api``."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from opsgenie_provider.api.errors import ApiError
from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.pagerduty import HOSTS, PagerdutyClient
from opsgenie_provider.hooks.base import ApiHook

# PagerDuty's documented limit for a key (developer docs, rate limits), with room for others.
_REQUESTS_PER_MINUTE = 900


class PagerdutyHook(ApiHook):
    """Reads a PagerDuty account; sends nothing but GET.

    :param pagerduty_conn_id: the connection: password = API key; host = base URL, or empty and
        extra ``{"region": "us" | "eu"}``.
    """

    conn_name_attr = "pagerduty_conn_id"
    default_conn_name = "pagerduty_default"
    conn_type = "pagerduty_api"
    hook_name = "PagerDuty API"
    hosts: ClassVar = HOSTS

    def __init__(self, *, pagerduty_conn_id: str = default_conn_name) -> None:
        super().__init__(pagerduty_conn_id)

    @cached_property
    def client(self) -> PagerdutyClient:
        """The client; made on first use, with one session for all threads."""
        session = self.get_conn()
        key = self.airflow_connection().password or ""
        limiter = RateLimiter({"rest": [(_REQUESTS_PER_MINUTE, 60.0)]})
        return PagerdutyClient(session, self.base_url, key, limiter=limiter)

    def test_connection(self) -> tuple[bool, str]:
        """What the Test button of the connection form shows."""
        try:
            self.client.abilities()
        except (ApiError, ValueError) as error:
            return False, str(error)
        return True, "The key is accepted."
