"""Services with incidents but no deployments, and the form that maps them to their deployments."""

from __future__ import annotations

from typing import Annotated, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from opsgenie_provider.assets import SERVICE_MAP
from opsgenie_provider.web.asset_events import mark_updated
from opsgenie_provider.web.forms import MAY_RUN, check_token, token
from opsgenie_provider.web.reader import Row, reading, writing
from opsgenie_provider.web.rendering import SERVICES, templates
from opsgenie_provider.web.similar_names import suggestions
from opsgenie_provider.web.texts import Text
from opsgenie_provider.web.workers import PAGES

router = APIRouter(default_response_class=HTMLResponse)


class ServiceId(BaseModel):
    """Which service of an account; ``service``, what it may be called."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    account: Text
    service_id: Text
    service: Text = ""

    @property
    def about(self) -> tuple[str, ...]:
        """What the form's token is signed for."""
        return ("service-map", self.account, self.service_id)


class Decision(ServiceId):
    """What the form sends."""

    token: Text
    decision: Literal["map", "remove"]
    reason: Text = ""


@router.get("/services")
@PAGES.handler
def services(request: Request) -> Response:
    """Services with incidents but no deployments, the reverse, and what is mapped."""
    with reading() as reader:
        coverage = reader.rows("service_counts")
        deployed = [row["service"] for row in reader.rows("list_deployed_services")]
        alone = [row for row in coverage if not row["is_deployed"]][:SERVICES]
        names = [row["service"] for row in alone]
        ids = reader.rows("list_service_ids", services=names)
        mapped = reader.rows("list_mappings", account=None, service_id=None, limit=SERVICES)
    like = suggestions(names, deployed)
    uncounted = [row for row in coverage if row["is_deployed"] and not row["deployments"]]
    quiet = [row for row in coverage if row["deployments"] and not row["incidents"]]
    return templates.TemplateResponse(
        request,
        "services.html",
        {
            "alone": [
                row
                | {
                    "like": like.get(row["service"]),
                    "ids": [each for each in ids if each["service"] == row["service"]],
                }
                # Those with a similar deployed service first.
                for row in sorted(alone, key=lambda row: row["service"] not in like)
            ],
            "more_alone": sum(not row["is_deployed"] for row in coverage) - len(alone),
            "uncounted": uncounted[:SERVICES],
            "more_uncounted": len(uncounted[SERVICES:]),
            "quiet": quiet[:SERVICES],
            "more_quiet": len(quiet[SERVICES:]),
            "mapped": mapped,
            "is_empty": not coverage,
        },
    )


@router.get("/service-map", dependencies=[MAY_RUN])
@PAGES.handler
def form(request: Request, user: GetUserDep, asked: Annotated[ServiceId, Query()]) -> Response:
    """The form for one service."""
    return _page(request, asked, token(asked.about, user.get_id()), asked.service)


@router.post("/service-map", dependencies=[MAY_RUN])
@PAGES.handler
def save(request: Request, user: GetUserDep, sent: Annotated[Decision, Form()]) -> Response:
    """Store or remove the row; dora_metrics is notified, and attributes the service's incidents again."""
    check_token(sent.token, sent.about, user.get_id())
    _found(sent)
    if sent.decision == "map":
        with reading() as reader:
            deployed = reader.first("find_deployed_service", service=sent.service)
        if deployed is None:
            return _page(
                request,
                sent,
                sent.token,
                sent.service,
                error="No deployment belongs to a service with this name.",
            )
        if not sent.reason.strip():
            return _page(request, sent, sent.token, sent.service, error="Enter a reason.")
    values = {
        "account": sent.account,
        "service_id": sent.service_id,
        "service": sent.service.strip(),
        "reason": sent.reason.strip(),
        "decided_by": user.get_name(),
    }
    with writing() as writer:
        writer.execute("save_service" if sent.decision == "map" else "remove_service", values)
    is_notified = mark_updated(SERVICE_MAP, {"service_id": sent.service_id, "by": user.get_name()})
    return RedirectResponse(f"services?saved={'yes' if is_notified else 'later'}", status_code=303)


def _found(asked: ServiceId) -> Row:
    with reading() as reader:
        found = reader.first("find_service_source", account=asked.account, service_id=asked.service_id)
    if found is None:
        raise HTTPException(404, "Unknown service id.")
    return found


def _page(
    request: Request, asked: ServiceId, signed: str, service: str, *, error: str | None = None
) -> Response:
    found = _found(asked)
    with reading() as reader:
        row = next(
            iter(reader.rows("list_mappings", account=asked.account, service_id=asked.service_id, limit=1)),
            None,
        )
        names = [each["service"] for each in reader.rows("list_deployed_services")]
    return templates.TemplateResponse(
        request,
        "service_map.html",
        {
            "found": found,
            "row": row,
            "names": names,
            "token": signed,
            "service": service or (row["service"] if row else ""),
            "reason": getattr(asked, "reason", None),
            "error": error,
        },
        status_code=422 if error else 200,
    )
