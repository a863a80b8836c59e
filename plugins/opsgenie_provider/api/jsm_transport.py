"""Sends requests to Jira Service Management: credentials, a site's cloud id, and GET for each family."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import requests
from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import (
    REPORT_REMEDY,
    ApiStatusError,
    InvalidResponseError,
    PermissionDeniedError,
    UnknownShapeError,
    UnknownSiteError,
)
from opsgenie_provider.api.jsm_dialect import SERVICE_NAME, SITE_DIALECT, Family, explain
from opsgenie_provider.api.transport import HeaderAuth, Transport, checked_credential

T = TypeVar("T")
API_URL = "https://api.atlassian.com"


class BasicAuth(HeaderAuth):
    """Basic authentication by e-mail and API token.

    :raises ValueError: the token is empty or malformed, or the e-mail is not an address.
    """

    def __init__(self, email: str, token: str) -> None:
        self._token = checked_credential(token, "API token")
        if "@" not in email or ":" in email:
            raise ValueError(
                "The login of the connection is not an e-mail address: enter the address of the account that "
                "the API token belongs to."
            )
        super().__init__("Basic ", b64encode(f"{email.strip()}:{self._token}".encode()).decode())

    def hide(self, text: str) -> str:
        return super().hide(text).replace(self._token, "***")


class NoAuth(HeaderAuth):
    """Sends no credentials, and prevents requests from taking some from .netrc."""

    def __init__(self) -> None:
        """No key is stored."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request

    def hide(self, text: str) -> str:
        return text


class _Tenant(msgspec.Struct):
    cloudId: str


def cloud_id_of(session: requests.Session, site: str) -> str:
    """The cloud id of a site, from its public ``/_edge/tenant_info``; no credentials are sent there.

    :raises UnknownSiteError: there is no Atlassian site at this address.
    """
    transport = Transport(session, site, auth=NoAuth(), dialect=SITE_DIALECT)
    try:
        tenant = transport.get("/_edge/tenant_info", domain="tenant", into=_Tenant)
    except (ApiStatusError, InvalidResponseError) as error:
        if isinstance(error, ApiStatusError) and (error.status >= 500 or error.status in {408, 429}):
            raise
        raise UnknownSiteError(
            f"There is no Atlassian site at {site}. Put the site into the host of the connection, like "
            f"https://acme.atlassian.net, or its cloud id into the extra cloud_id. ({error})"
        ) from None
    return tenant.cloudId


class Gateway:
    """Sends GET requests to the families of one site's API. Safe to use from several threads.

    :param transport: to the only host that credentials are sent to.
    :param auth: the credentials, to redact them from payloads that repeat them.
    """

    def __init__(self, transport: Transport, cloud_id: str, auth: HeaderAuth) -> None:
        self.transport = transport
        self.cloud_id = cloud_id
        self._hide = auth.hide
        # All prefixes of a family -> those still to try, for families with more than one.
        self._prefixes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def get(self, family: Family, path: str, into: type[T], params: Mapping[str, Any] | None = None) -> T:
        """GET ``path`` of a family.

        :raises UnknownShapeError: the answer is JSON, but not of the documented shape.
        """
        body = self._read(family, path, params)
        try:
            return decode_into(body, into)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnknownShapeError(
                f"{SERVICE_NAME} answered GET {path} ({family.name}) with JSON of an undocumented shape "
                f"({error}). {REPORT_REMEDY}",
                self._hide(bytes(body).decode(errors="replace")).encode(),
            ) from None

    def _read(self, family: Family, path: str, params: Mapping[str, Any] | None) -> Raw:
        first, *others = self._prefixes.get(family.prefixes, family.prefixes)
        try:
            return self._send(family, first, path, params)
        except ApiStatusError as error:
            explained_error = explain(error, family)
        if others and explained_error.status == 401 and isinstance(explained_error, PermissionDeniedError):
            try:
                answer = self._send(family, others[0], path, params)
            except ApiStatusError:
                self._prefixes[family.prefixes] = (first,)
            else:
                self._prefixes[family.prefixes] = tuple(others)
                return answer
        raise explained_error

    def _send(self, family: Family, prefix: str, path: str, params: Mapping[str, Any] | None) -> Raw:
        base = prefix.format(cloud_id=quote(self.cloud_id, safe=""))
        return self.transport.get(f"{base}{path}", domain=family.domain, params=params, into=Raw)
