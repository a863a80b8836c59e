"""What the hooks of both services share: from a connection to a session, a base URL and a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection

from opsgenie_provider.api.concurrency import THREADS
from opsgenie_provider.compat import AirflowNotFoundException

if TYPE_CHECKING:
    from requests import Session


class ConnectionSettingsError(ValueError):
    """An Airflow connection is missing, or lacks what the service needs."""


def connection_type(conn_id: str) -> str:
    """The type of an Airflow connection; '' where there is none."""
    try:
        return BaseHook.get_connection(conn_id).conn_type or ""
    except AirflowNotFoundException:
        return ""


def extras_of(connection: Connection) -> dict[str, Any]:
    """The extras of an Airflow connection.

    :raises ConnectionSettingsError: they are JSON, but not an object.
    """
    extras = connection.extra_dejson
    if isinstance(extras, str):
        # A secret store may encode what is JSON already.
        extras = _json(extras)
    if extras is None:
        return {}
    if not isinstance(extras, dict):
        raise ConnectionSettingsError(
            f"The extra of the connection {connection.conn_id!r} is not a JSON object: write it like "
            '{"region": "eu"}.'
        )
    return extras


class ApiHook(BaseHook):
    """A hook that makes its sessions itself.

    It is no ``HttpHook``: with it, each task that asks a service would import aiohttp and asgiref.

    The connection: password = API key; host = base URL, or empty and extra ``{"region": "eu"}``.
    The extras ``verify``, ``cert``, ``proxies`` and ``trust_env`` mean what they do in the http
    provider; no extra is ever sent as a header, and the client authenticates each request itself.
    """

    conn_type: ClassVar[str]
    hosts: ClassVar[dict[str, str]]
    # How many may use one session at the same time.
    threads: ClassVar[int] = THREADS
    default_region: ClassVar[str] = "us"
    # What the password of the connection is.
    credential: ClassVar[str] = "API key"

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.http_conn_id = conn_id
        self.base_url = ""

    def airflow_connection(self) -> Connection:
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
        # A credential goes to the service that it is of, and to no other.
        type_ = connection.conn_type or ""
        if type_.endswith("_api") and type_ != self.conn_type:
            raise ConnectionSettingsError(
                f"The connection {self.http_conn_id!r} has the type {type_!r}; here it must be "
                f"{self.conn_type!r}. Correct its type, or name another connection in the settings."
            )
        if not connection.password:
            raise ConnectionSettingsError(
                f"The connection {self.http_conn_id!r} has no password: put the {self.credential} there."
            )
        return connection

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> Session:
        """A session for several threads, with the connection's TLS and proxy settings; sets ``base_url``.

        :param headers: headers of every request.
        :param extra_options: take precedence over the connection's extras.
        """
        # Not by those who need a connection's settings alone, as the refresh of the metrics does.
        from requests import Session
        from requests_toolbelt.adapters.socket_options import TCPKeepAliveAdapter

        connection = self.airflow_connection()
        self.base_url = self.base_url_of(connection)
        options = extras_of(connection) | (extra_options or {})
        session = Session()
        session.verify = _flag(options.get("verify", options.get("verify_ssl", True)))
        session.cert = options.get("cert")
        session.proxies = _proxies(options.get("proxies", options.get("proxy")))
        session.trust_env = _flag(options.get("trust_env", True))
        for scheme in ("https://", "http://"):
            # Keep-alive, so that firewalls do not drop idle connections.
            session.mount(
                scheme, TCPKeepAliveAdapter(idle=120, count=20, interval=30, pool_maxsize=self.threads)
            )
        session.headers.update(headers or {})
        return session

    def base_url_of(self, connection: Connection) -> str:
        """The service's base URL as the connection has it.

        :raises ConnectionSettingsError: it names no host, and a region that there is not.
        """
        region = str(extras_of(connection).get("region") or self.default_region).strip().lower()
        host = (connection.host or "").strip().rstrip("/")
        if not host:
            if region not in self.hosts:
                raise ConnectionSettingsError(
                    f"The connection {self.http_conn_id!r} has the region {region!r}: it is one of "
                    f"{', '.join(self.hosts)}."
                )
            return self.hosts[region]
        url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
        try:
            parts = urlsplit(url)
            has_port = parts.port is not None
        except ValueError:
            raise ConnectionSettingsError(
                f"The connection {self.http_conn_id!r} has the host {host!r}, which is no URL."
            ) from None
        if connection.port and not has_port:
            url = parts._replace(netloc=f"{parts.netloc}:{connection.port}").geturl()
        return url


def _flag(value: Any) -> Any:
    """True or false, also where a connection's URI can only write them as texts; another text stays."""
    named = {"true": True, "false": False}
    return named.get(value.strip().lower(), value) if isinstance(value, str) else value


def _proxies(value: Any) -> dict[str, str]:
    """Proxies by scheme; a text is that map as JSON, or the proxy of both schemes."""
    if isinstance(value, str) and value:
        found = _json(value)
        value = found if isinstance(found, dict) else {"http": value, "https": value}
    return value or {}


def _json(text: str) -> Any:
    """The value of a JSON text; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
