"""What the hooks of both services share: from a connection to a session, a base URL and a key."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Connection
from requests import Session
from requests.structures import CaseInsensitiveDict
from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter

from opsgenie_provider.api.concurrency import THREADS
from opsgenie_provider.compat import AirflowNotFoundException


class ConnectionSettingsError(ValueError):
    """An Airflow connection is missing, or lacks what the service needs."""


class ApiHook(HttpHook):
    """A hook over the http provider's connection handling (TLS, proxies, keep-alive).

    The connection: password = API key; host = base URL, or empty and extra ``{"region": "eu"}``.
    The extras ``verify``, ``cert``, ``proxies`` and ``trust_env`` mean what they do there; no
    extra is ever sent as a header.
    """

    hosts: ClassVar[dict[str, str]]
    # How many may use one session at the same time.
    threads: ClassVar[int] = THREADS
    default_region: ClassVar[str] = "us"
    # What the password of the connection is.
    credential: ClassVar[str] = "API key"

    def __init__(self, conn_id: str) -> None:
        super().__init__(
            http_conn_id=conn_id,
            adapter=TCPKeepAliveAdapter(idle=120, count=20, interval=30, pool_maxsize=self.threads),
        )

    def settings(self) -> Connection:
        """The Airflow connection.

        :raises ConnectionSettingsError: there is none, or it has no key.
        """
        try:
            connection = self.get_connection(self.http_conn_id)
        except AirflowNotFoundException:
            raise ConnectionSettingsError(
                f"There is no Airflow connection {self.http_conn_id!r}. Create it with type "
                f"{self.conn_type!r} and the {self.credential} as its password (or set AIRFLOW_CONN_"
                f"{self.http_conn_id.upper()}), or name another one in the settings."
            ) from None
        if not connection.password:
            raise ConnectionSettingsError(
                f"The connection {self.http_conn_id!r} has no password: put the {self.credential} there."
            )
        return connection

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> Session:
        """A session for several threads, with the connection's TLS and proxy settings."""
        self.settings()
        return super().get_conn(headers, extra_options)

    def _set_base_url(self, connection: Connection) -> None:
        region = str(connection.extra_dejson.get("region") or self.default_region).lower()
        host = (connection.host or "").strip().rstrip("/")
        if not host:
            if region not in self.hosts:
                raise ConnectionSettingsError(
                    f"The connection {self.http_conn_id!r} has the region {region!r}: it is one of "
                    f"{', '.join(self.hosts)}."
                )
            self.base_url = self.hosts[region]
        elif "://" in host:
            self.base_url = host
        else:
            self.base_url = f"{connection.schema or 'https'}://{host}"
        if host and connection.port:
            self.base_url = f"{self.base_url}:{connection.port}"
        self._base_url_initialized = True

    def _configure_session_from_auth(self, session: Session, connection: Connection) -> Session:
        # The client authenticates each request itself.
        return session

    def _configure_session_from_extra(
        self, session: Session, connection: Connection, extra_options: dict[str, Any]
    ) -> Session:
        # The http provider sends extras that it does not know as headers.
        headers = CaseInsensitiveDict(session.headers)
        session = super()._configure_session_from_extra(session, connection, extra_options)
        session.headers = headers
        return session
