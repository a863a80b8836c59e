"""The hook of the connection type ``opsgenie_api``."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from opsgenie_provider.api.errors import ApiError, PlanError
from opsgenie_provider.api.limits import ANY_DOMAIN, Limits, RateLimiter
from opsgenie_provider.api.opsgenie import HOSTS, OpsgenieClient
from opsgenie_provider.hooks.base import ApiHook


class OpsgenieHook(ApiHook):
    """Reads an OpsGenie account; sends nothing but GET.

    :param opsgenie_conn_id: the connection: password = API key; host = base URL, or empty and
        extra ``{"region": "us" | "eu"}``.
    :param limits: rate limits per domain, as ``OpsgenieClient.request_limits`` gives them.
    :param max_requests_per_minute: a limit for all domains together.
    """

    conn_name_attr = "opsgenie_conn_id"
    default_conn_name = "opsgenie_default"
    conn_type = "opsgenie_api"
    hook_name = "OpsGenie API"
    hosts: ClassVar = HOSTS

    def __init__(
        self,
        *,
        opsgenie_conn_id: str = default_conn_name,
        limits: Limits | None = None,
        max_requests_per_minute: int | None = None,
    ) -> None:
        super().__init__(opsgenie_conn_id)
        self._limits = dict(limits or {})
        if max_requests_per_minute:
            self._limits[ANY_DOMAIN] = [(max_requests_per_minute, 60.0)]

    @cached_property
    def client(self) -> OpsgenieClient:
        """The client; made on first use, with one session for all threads."""
        session = self.get_conn()
        key = self.airflow_connection().password or ""
        return OpsgenieClient(session, self.base_url, key, limiter=RateLimiter(self._limits))

    def test_connection(self) -> tuple[bool, str]:
        """What the Test button of the connection form shows."""
        try:
            page = self.client.incidents(limit=1, order="desc")
        except PlanError as error:
            if self.client.reads_alerts():
                return True, f"The key is accepted, and reads alerts. {error}"
            return False, str(error)
        except (ApiError, ValueError) as error:
            return False, str(error)
        count = "" if page.total is None else f" It lists {page.total} incidents."
        return True, f"The key is accepted.{count}"
