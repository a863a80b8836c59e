"""GET the caller, users, fields, priorities, statuses, issue types and services of a site."""

from __future__ import annotations

from starlette.responses import Response

from sandbox.jsm.access import NOBODY
from sandbox.jsm.errors import ApiError, bad_request
from sandbox.jsm.model import Named
from sandbox.jsm.web import Call


async def myself(call: Call) -> Response:
    """The caller always sees its own e-mail, even if the profile hides it from others."""
    account = call.store.accounts[call.token.account_id]
    return call.ok({**account.payload(), "emailAddress": account.email})


async def get_user(call: Call) -> Response:
    account = call.store.accounts.get(call.text("accountId"))
    if account is None:
        raise ApiError(404, "Specified user does not exist or you do not have required permissions")
    return call.ok(account.payload())


async def bulk_users(call: Call) -> Response:
    """maxResults is 10 by default, and further users are silently left out.

    Ids are given by repeating the parameter, not by commas. Unknown ids have no entry.
    """
    wanted = list(dict.fromkeys(call.request.query_params.getlist("accountId")))
    if not wanted:
        raise bad_request("The accountId parameter is required.")
    size = min(call.number("maxResults", 10, 1), call.store.switches.users_most)
    start = call.number("startAt", 0)
    found = [call.store.accounts[id_] for id_ in wanted if id_ in call.store.accounts]
    return call.ok(
        {
            "maxResults": size,
            "startAt": start,
            "total": len(found),
            "isLast": start + size >= len(found),
            "values": [account.payload() for account in found[start : start + size]],
        }
    )


async def list_fields(call: Call) -> Response:
    """Not paged. Ids differ between sites, and names need not be unique."""
    fields = call.store.catalogue.fields.values()
    return call.ok([field.payload() for field in fields if call.token is not NOBODY or not field.custom])


async def list_priorities(call: Call) -> Response:
    """Not paged; the most urgent first."""
    return call.ok([priority.payload() for priority in call.store.catalogue.priorities.values()])


async def list_statuses(call: Call) -> Response:
    """Not paged."""
    return call.ok([status.payload() for status in call.store.catalogue.statuses.values()])


async def list_issue_types(call: Call) -> Response:
    """Not paged."""
    return call.ok([kind.payload() for kind in call.store.catalogue.issue_types.values()])


def _project(call: Call) -> Named:
    wanted = call.path["project"]
    for project in call.store.catalogue.projects.values():
        seen = call.token.projects is None or project.key in call.token.projects
        if wanted in (project.id, project.key) and seen:
            return project
    raise ApiError(404, f"No project could be found with id or key '{wanted}'.")


async def get_project(call: Call) -> Response:
    """By id or key; the same 404 if it does not exist and if the caller may not browse it."""
    return call.ok(_project(call).payload())


async def get_security_scheme(call: Call) -> Response:
    """Only who administers the project is told; the stand-in takes an admin of Operations for one."""
    project = _project(call)
    if call.token.role != "admin":
        raise ApiError(403, "You need to be a Jira administrator to perform this operation")
    if project.id not in call.store.catalogue.secured:
        raise ApiError(404, "The project has no issue security scheme.")
    levels = [{"id": "10021", "name": "Responders only"}]
    return call.ok({"id": 10000, "name": "Incidents", "defaultSecurityLevelId": 10021, "levels": levels})


async def list_services(call: Call) -> Response:
    """`{services, pagination{totalCount, hasNext}}`; ids are the base64 of the ARIs in issues."""
    most = call.store.switches.services_most
    size, offset = min(call.number("size", most, 1), most), call.number("offset", 0)
    found = list(call.store.services.values())
    page = found[offset : offset + size]
    return call.ok(
        {
            "services": [service.payload(call.store.switches.padded_ids) for service in page],
            "pagination": {"totalCount": len(found), "hasNext": offset + size < len(found)},
        }
    )
