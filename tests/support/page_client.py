"""The page's app in process, as somebody who may do everything sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient

from opsgenie_provider.web.app import create_app


def page_app() -> FastAPI:
    """The whole app; only who asks is not asked."""
    create_auth_manager()
    app = create_app()
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="ada", role="admin")
    return app


@contextmanager
def page_client() -> Iterator[TestClient]:
    """A browser of it; what the app does not handle is raised."""
    with TestClient(page_app()) as client:
        yield client
