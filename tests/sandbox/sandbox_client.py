"""A client that only speaks the protocol, and the constants of the sandbox's tests."""

from __future__ import annotations

import base64
from typing import Any, Generic, TypeVar

import requests

from sandbox import jsm
from sandbox.gateway import Gateway
from sandbox.opsgenie import Store

NOW = "2024-06-12T12:00:00Z"
READER = "11111111-1111-4111-8111-111111111111"
WRITER = "22222222-2222-4222-8222-222222222222"


class Api:
    """GET, POST and DELETE with a key."""

    def __init__(self, base: str, app: Gateway, store: Store, session: requests.Session) -> None:
        self.base = base
        self.app = app
        self.store = store
        self.session = session

    def call(self, method: str, path: str, key: str | None = WRITER, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"GenieKey {key}")
        url = path if path.startswith("http") else self.base + path
        return self.session.request(method, url, headers=headers, timeout=120, **options)

    def get(self, path: str, key: str | None = WRITER, **params: Any) -> requests.Response:
        return self.call("GET", path, key, params=params)

    def data(self, path: str, **params: Any) -> Any:
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def post(self, path: str, body: Any = None, key: str = WRITER) -> requests.Response:
        return self.call("POST", path, key, json=body if body is not None else {})

    def delete(self, path: str, key: str = WRITER, **params: Any) -> requests.Response:
        return self.call("DELETE", path, key, params=params)


Account = TypeVar("Account")


class Reader(Generic[Account]):
    """GET with an Authorization header, of PagerDuty's or GitHub's stand-in."""

    def __init__(
        self, base: str, app: Gateway, store: Account, session: requests.Session, authorization: str
    ) -> None:
        self.base = base
        self.app = app
        self.store = store
        self.session = session
        self.authorization: str | None = authorization

    def call(self, method: str, path: str, authorization: str = "", **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if authorization or self.authorization:
            headers["Authorization"] = authorization or self.authorization
        url = path if path.startswith("http") else self.base + path
        return self.session.request(method, url, headers=headers, timeout=120, **options)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.call("GET", path, params=params)

    def json(self, path: str, **params: Any) -> Any:
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()


def basic(email: str, token: str) -> str:
    """An Authorization header of Jira Service Management."""
    return "Basic " + base64.b64encode(f"{email}:{token}".encode()).decode()


class Jsm(Reader[jsm.Store]):
    """GET in the families of Jira Service Management: paths from behind their bases."""

    @property
    def jira_base(self) -> str:
        return f"/ex/jira/{self.store.cloud_id}/rest/api/3"

    @property
    def ops_base(self) -> str:
        return f"/jsm/ops/api/{self.store.cloud_id}/v1"

    def jira(self, path: str, **params: Any) -> Any:
        return self.json(self.jira_base + path, **params)

    def ops(self, path: str, **params: Any) -> Any:
        return self.json(self.ops_base + path, **params)

    def services(self, **params: Any) -> Any:
        return self.json(f"/jsm/api/{self.store.cloud_id}/v1/services/", **params)

    def ids(self, jql: str, **params: Any) -> list[str]:
        """The ids of a whole search, page by page."""
        found: list[str] = []
        while True:
            body = self.jira("/search/jql", jql=jql, **params)
            found += [issue["id"] for issue in body["issues"]]
            if "nextPageToken" not in body:
                return found
            params["nextPageToken"] = body["nextPageToken"]
