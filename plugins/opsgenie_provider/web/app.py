"""The app that the plugin puts into Airflow's API server: the pages, the override form, the webhook.

Airflow mounts it without any check of its own: who may see a page is decided here, for every route but
the webhook's, which proves its sender by a signature.
"""

from __future__ import annotations

import logging
from importlib.resources import files
from pathlib import Path

import psycopg
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from opsgenie_provider.compat import AirflowNotFoundException
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.settings import InvalidSettingsError
from opsgenie_provider.warehouse.connection import WarehouseUnavailableError
from opsgenie_provider.web import overrides, pages, service_map, trust, webhook
from opsgenie_provider.web.forms import PATHS as FORM_PATHS
from opsgenie_provider.web.middleware import HEADERS, FormLimit, Headers
from opsgenie_provider.web.rendering import templates
from opsgenie_provider.web.webhook_requests import RefusedError
from opsgenie_provider.web.workers import PAGES, RETRY_AFTER, BusyError

log = logging.getLogger(__name__)

PREFIX = "/opsgenie_provider"
STATIC = {
    "page.css": Path(__file__).parent / "static" / "page.css",
    "page.js": Path(__file__).parent / "static" / "page.js",
    "charts.js": Path(__file__).parent / "static" / "charts.js",
    "plotly.min.js": Path(str(files("plotly") / "package_data" / "plotly.min.js")),
}
_FORBIDDEN = (
    "Ask an Airflow administrator for the permission to read plugins (to run dora_metrics for changes)."
)


def create_app() -> FastAPI:
    """The app; its documentation is off, as it would be public."""
    app = FastAPI(title="OpsGenie and DORA", docs_url=None, redoc_url=None, openapi_url=None)
    seen = [Depends(requires_access_view(AccessView.PLUGINS))]
    app.include_router(pages.router, dependencies=seen)
    app.include_router(trust.router, dependencies=seen)
    app.include_router(overrides.router, dependencies=seen)
    app.include_router(service_map.router, dependencies=seen)
    app.add_api_route("/static/{name}", static, dependencies=seen, response_class=FileResponse)
    app.include_router(webhook.router)
    app.add_middleware(GZipMiddleware, minimum_size=2000, compresslevel=5)
    app.add_middleware(Headers)
    app.add_middleware(FormLimit, paths=FORM_PATHS)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(BusyError, _busy)
    for error in (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ):
        app.add_exception_handler(error, _no_tables)
    app.add_exception_handler(psycopg.errors.QueryCanceled, _too_slow)
    app.add_exception_handler(psycopg.DataError, _unreadable)
    for trouble in (
        WarehouseUnavailableError,
        psycopg.Error,
        ConnectionSettingsError,
        InvalidSettingsError,
        FileNotFoundError,
        AirflowNotFoundException,
    ):
        app.add_exception_handler(trouble, _unavailable)
    app.add_exception_handler(Exception, _unexpected)
    return app


@PAGES.handler
def static(name: str) -> Response:
    """The page's style sheet and scripts."""
    if name not in STATIC:
        raise HTTPException(404, "There is no such file.")
    # Their address has the version in it.
    return FileResponse(STATIC[name], headers={"Cache-Control": "private, max-age=604800"})


def _message(request: Request, status: int, title: str, text: str) -> Response:
    response = templates.TemplateResponse(
        request, "message.html", {"title": title, "text": text}, status_code=status
    )
    if status == 503:
        response.headers["Retry-After"] = RETRY_AFTER
    return response


# On the event loop, where rendering a few words waits for nobody's thread.


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if "/webhook/" in request.url.path:
        # Whoever sends to it is a program.
        refused = RefusedError(error.status_code, "no_delivery", error.detail).response()
        refused.headers.update(error.headers or {})
        return refused
    titles = {401: "Login required", 403: "Access denied", 404: "Not found"}
    # Airflow's own refusal says no more than the status.
    is_refused = error.status_code == 403 and error.detail == "Forbidden"
    response = _message(
        request,
        error.status_code,
        titles.get(error.status_code, "Request failed"),
        _FORBIDDEN if is_refused else error.detail,
    )
    # Such as Allow, of a method that there is not.
    response.headers.update(error.headers or {})
    return response


async def _wrong_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return _message(request, 422, "Invalid request", f"{wrong}.")


async def _busy(request: Request, error: Exception) -> Response:
    return _message(
        request, 503, "Too many requests at once", "The page handles a few at a time. Try again in a minute."
    )


async def _no_tables(request: Request, error: Exception) -> Response:
    # Or a fault of a query: only the log tells them apart.
    log.error("%s: %s", request.url.path, error)
    return _message(
        request,
        503,
        "The warehouse tables are missing or outdated",
        "Run opsgenie_sync once: it creates or upgrades them. The API server's log names what is missing.",
    )


async def _too_slow(request: Request, error: Exception) -> Response:
    log.warning("%s took too long and was cancelled.", request.url.path)
    text = "Narrow it down by service or date, and try again."
    return _message(request, 503, "The query took too long", text)


async def _unreadable(request: Request, error: Exception) -> Response:
    log.error("%s: %s", request.url.path, error)
    return _message(
        request,
        500,
        "A row cannot be shown",
        "The warehouse holds a value that cannot be read, such as a time outside of the years 1 to 9999. "
        "Correct or delete that row; the API server's log names the value.",
    )


async def _unavailable(request: Request, error: Exception) -> Response:
    log.error("%s: %s", request.url.path, error)
    # It may be a standby, or its role may not write.
    title = "The warehouse did not store it" if request.method == "POST" else "The warehouse cannot be read"
    return _message(request, 503, title, "The API server's log says why.")


async def _unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours, which Airflow's API server logs; the middleware above is not asked for its headers."""
    response = _message(
        request,
        500,
        "Request failed",
        "Internal error. Ask the Airflow administrator to check the API server's log.",
    )
    response.headers.update(HEADERS)
    return response


app = create_app()
