"""The override form: a person who knows better says which deployment caused an incident, or that none did."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from opsgenie_provider.assets import ATTRIBUTION_OVERRIDES
from opsgenie_provider.web.asset_events import mark_updated
from opsgenie_provider.web.forms import MAY_RUN, check_token, token
from opsgenie_provider.web.reader import Row, reading, writing
from opsgenie_provider.web.rendering import templates
from opsgenie_provider.web.texts import Text
from opsgenie_provider.web.workers import PAGES

router = APIRouter(default_response_class=HTMLResponse, dependencies=[MAY_RUN])


class Incident(BaseModel):
    """Which incident and service."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    source: Text
    account: Text
    incident_id: Text
    service: Text = ""

    @property
    def about(self) -> tuple[str, ...]:
        """What the form's token is signed for."""
        return ("override", self.source, self.account, self.incident_id, self.service)


class Decision(Incident):
    """What the form sends: ``deployment`` is "none", "remove", "other" or what :func:`choice` made."""

    token: Text
    deployment: Text
    other_source: Text = ""
    other_id: Text = ""
    reason: Text = ""


def choice(deployment: Row) -> str:
    """A candidate as a value of the form: neither part has a blank of its own."""
    return f"{quote(deployment['deployment_source'], safe='')} {quote(deployment['deployment_id'], safe='')}"


templates.env.filters["choice"] = choice


@router.get("/override")
@PAGES.handler
def form(request: Request, user: GetUserDep, incident: Annotated[Incident, Query()]) -> Response:
    """The form, with the deployments around the incident."""
    found = _found(incident)
    with reading() as reader:
        candidates = reader.rows("candidates", opened_at=found["opened_at"], service=found["service"])
    # For the incident as the form will send it: the address may spell the service another way.
    signed = token(Incident.model_validate(found).about, user.get_id())
    return _page(request, found, candidates, signed)


@router.post("/override")
@PAGES.handler
def save(request: Request, user: GetUserDep, decision: Annotated[Decision, Form()]) -> Response:
    """Store or remove the override, and notify dora_metrics, which computes again what it touches."""
    check_token(decision.token, decision.about, user.get_id())
    found = _found(decision)
    if decision.deployment == "other":
        key: tuple[str | None, str | None] = (decision.other_source.strip(), decision.other_id.strip())
    elif decision.deployment in ("none", "remove"):
        key = (None, None)
    else:
        source, _, deployment_id = decision.deployment.partition(" ")
        key = (unquote(source), unquote(deployment_id))
    if decision.deployment not in ("none", "remove") and not _exists(*key):
        return _refused(request, found, decision, "There is no such deployment in staging.deployments.")
    if decision.deployment != "remove" and not decision.reason.strip():
        return _refused(request, found, decision, "Enter a reason.")
    values = {name: found[name] for name in ("source", "account", "incident_id", "service")} | {
        "deployment_source": key[0],
        "deployment_id": key[1],
        "reason": decision.reason.strip(),
        "decided_by": user.get_name(),
    }
    with writing() as writer:
        # Whichever way it spells the service; what is saved replaces it.
        writer.execute("remove_override", values)
        if decision.deployment != "remove":
            writer.execute("save_override", values)
    notified = mark_updated(ATTRIBUTION_OVERRIDES, {"override": decision.incident_id, "by": user.get_name()})
    return RedirectResponse(f"incidents?saved={'yes' if notified else 'later'}", status_code=303)


def _found(incident: Incident) -> Row:
    with reading() as reader:
        found = reader.first("incident", **incident.model_dump(include=set(Incident.model_fields)))
    if found is None:
        raise HTTPException(404, "There is no such incident and service in dora.incident_attribution.")
    return found


def _exists(source: str | None, deployment_id: str | None) -> bool:
    with reading() as reader:
        return reader.first("deployment", source=source, deployment_id=deployment_id) is not None


def _refused(request: Request, found: Row, decision: Decision, why: str) -> Response:
    with reading() as reader:
        candidates = reader.rows("candidates", opened_at=found["opened_at"], service=found["service"])
    return _page(request, found, candidates, decision.token, error=why, reason=decision.reason, status=422)


def _page(
    request: Request,
    found: Row,
    candidates: list[Row],
    signed: str,
    *,
    error: str | None = None,
    reason: str | None = None,
    status: int = 200,
) -> Response:
    return templates.TemplateResponse(
        request,
        "override.html",
        {
            "incident": found,
            "candidates": candidates,
            "token": signed,
            "error": error,
            "reason": found["reason"] if reason is None else reason,
        },
        status_code=status,
    )
