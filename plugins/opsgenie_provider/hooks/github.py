"""GitHub by a plain ``http`` connection."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from opsgenie_provider.api.github import HOST, GithubClient
from opsgenie_provider.hooks.base import ApiHook


class GithubHook(ApiHook):
    """Reads GitHub repositories; sends nothing but GET.

    :param github_conn_id: the connection, of type ``http``: password = token; host = the API's base
        URL, or empty for github.com.
    """

    conn_type = "http"
    hosts: ClassVar = {"github.com": HOST}
    default_region = "github.com"

    def __init__(self, *, github_conn_id: str = "github_default") -> None:
        super().__init__(github_conn_id)

    @cached_property
    def client(self) -> GithubClient:
        """The client; made on first use, with one session for all threads."""
        session = self.get_conn()
        return GithubClient(session, self.base_url, self.settings().password or "")
