"""The hook of the connection type ``jsm_api``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.sdk import Connection

from opsgenie_provider.api.jsm import JsmClient
from opsgenie_provider.api.jsm_dialect import LIMITS
from opsgenie_provider.api.jsm_transport import API_URL, cloud_id_of
from opsgenie_provider.api.limits import ANY_DOMAIN, Limits, RateLimiter
from opsgenie_provider.hooks.base import ApiHook, ConnectionSettingsError, extras_of
from opsgenie_provider.hooks.jsm_check import check
from opsgenie_provider.rows.jsm_site import CLOSED_STATUSES, PRIORITIES, SiteSettings

_ATLASSIAN = ".atlassian.net"


class JsmHook(ApiHook):
    """Reads a site of Jira Service Management; sends nothing but GET.

    :param jsm_conn_id: the connection: host = the site, login = e-mail, password = API token; the
        extras are those of the form, in ``get_provider_info``.
    :param cloud_id: the site's, where it is known already; else that of the connection, or the site's
        own word.
    :param limits: rate limits per family.
    :param max_requests_per_minute: a limit for all families together.
    """

    conn_name_attr = "jsm_conn_id"
    default_conn_name = "jsm_default"
    conn_type = "jsm_api"
    hook_name = "Jira Service Management"
    hosts: ClassVar = {"site": ""}
    default_region = "site"
    credential = "API token"

    def __init__(
        self,
        *,
        jsm_conn_id: str = default_conn_name,
        cloud_id: str | None = None,
        limits: Limits | None = None,
        max_requests_per_minute: int | None = None,
    ) -> None:
        super().__init__(jsm_conn_id)
        self._cloud_id = cloud_id
        self._limits = dict(LIMITS if limits is None else limits)
        if max_requests_per_minute:
            self._limits[ANY_DOMAIN] = [(max_requests_per_minute, 60.0)]

    @cached_property
    def client(self) -> JsmClient:
        """The client; made on first use, with one session for all threads.

        :raises UnknownSiteError: the host is no site.
        """
        connection = self.airflow_connection()
        session = self.get_conn()
        site = site_settings(connection, self.base_url)
        return JsmClient(
            session,
            _api_url(connection),
            cloud_id=self._cloud_id or _text(connection, "cloud_id") or cloud_id_of(session, site.site),
            email=connection.login or "",
            token=connection.password or "",
            settings=site,
            limiter=RateLimiter(self._limits),
        )

    def airflow_connection(self) -> Connection:
        """The Airflow connection.

        :raises ConnectionSettingsError: there is none, or it lacks the site, the e-mail or the token.
        """
        connection = super().airflow_connection()
        if not (connection.host or "").strip():
            raise ConnectionSettingsError(
                f"The connection {self.http_conn_id!r} has no host: put the site there, like "
                "https://acme.atlassian.net."
            )
        if not (connection.login or "").strip():
            raise ConnectionSettingsError(
                f"The connection {self.http_conn_id!r} has no login: put there the e-mail address of the "
                "account that the API token belongs to."
            )
        return connection

    def test_connection(self) -> tuple[bool, str]:
        """What the Test button of the connection form shows."""
        return check(lambda: self.client)

    def base_url_of(self, connection: Connection) -> str:
        """The site."""
        url = super().base_url_of(connection)
        parts = urlsplit(url)
        # What the browser shows behind the site's name is no part of its address.
        if (parts.hostname or "").endswith(_ATLASSIAN):
            url = f"{parts.scheme}://{parts.netloc}"
        return url.rstrip("/")


def site_settings(connection: Connection, site: str) -> SiteSettings:
    """What a connection's extras say about its site.

    :raises ConnectionSettingsError: an extra is not of the form it must have.
    """
    closed = _list(connection, "closed_statuses")
    return SiteSettings(
        site=site,
        incident_jql=_text(connection, "incident_jql"),
        impact_start_field=_text(connection, "impact_start_field"),
        impact_end_field=_text(connection, "impact_end_field"),
        priority_map=_priority_map(connection),
        closed_statuses=CLOSED_STATUSES if closed is None else tuple(closed),
    )


def _text(connection: Connection, name: str) -> str | None:
    value = extras_of(connection).get(name)
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    raise ConnectionSettingsError(
        f"The extra {name} of the connection {connection.conn_id!r} must be a text."
    )


def _json(connection: Connection, name: str) -> Any:
    """An extra that is no plain text; forms and environments may give it as the text of its JSON."""
    value = extras_of(connection).get(name)
    if isinstance(value, str) and value.strip()[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except ValueError:
            raise ConnectionSettingsError(
                f"The extra {name} of the connection {connection.conn_id!r} is no valid JSON: write a list "
                'like ["Closed"], or an object like {"Critical": "P1"}.'
            ) from None
    return value or None if isinstance(value, str) else value


def _list(connection: Connection, name: str) -> list[str] | None:
    value = _json(connection, name)
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise ConnectionSettingsError(
            f'The extra {name} of the connection {connection.conn_id!r} must be a list, like ["Closed"].'
        )
    return value


def _priority_map(connection: Connection) -> Mapping[str, str]:
    value = _json(connection, "priority_map")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(each in PRIORITIES for each in value.values()):
        raise ConnectionSettingsError(
            f"The extra priority_map of the connection {connection.conn_id!r} must give P1 to P5 for each "
            'name, like {"Critical": "P1"}.'
        )
    return value


def _api_url(connection: Connection) -> str:
    url = (_text(connection, "api_url") or API_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query:
        raise ConnectionSettingsError(
            f"The extra api_url of the connection {connection.conn_id!r} is no address like {API_URL}; "
            "leave it empty."
        )
    return url
