"""GitHub by a plain ``http`` connection."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from opsgenie_provider.api.github import HOST, GithubClient
from opsgenie_provider.api.limits import ANY_DOMAIN, RateLimiter
from opsgenie_provider.hooks.base import ApiHook


class GithubHook(ApiHook):
    """Reads GitHub repositories; sends nothing but GET.

    :param github_conn_id: the connection, of type ``http``: password = token; host = the API's base
        URL, or empty for github.com.
    :param max_requests_per_minute: of github.com; an Enterprise server has no limit unless it says so.
    """

    conn_type = "http"
    hosts: ClassVar = {"github.com": HOST}
    default_region = "github.com"

    def __init__(
        self, *, github_conn_id: str = "github_default", max_requests_per_minute: int | None = None
    ) -> None:
        super().__init__(github_conn_id)
        self._max_requests_per_minute = max_requests_per_minute

    @cached_property
    def client(self) -> GithubClient:
        """The client; made on first use, with one session for all threads."""
        session = self.get_conn()
        limits = {}
        if self._max_requests_per_minute and self.base_url == HOST:
            limits[ANY_DOMAIN] = [(self._max_requests_per_minute, 60.0)]
        return GithubClient(
            session, self.base_url, self.airflow_connection().password or "", limiter=RateLimiter(limits)
        )
