"""The published specification of 2021, where it covers a field. Newer fields are in no specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.sandbox_client import Api

SPEC = Path(__file__).resolve().parents[3] / "shared" / "specs" / "opsgenie" / "swagger.json"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "array": list,
    "object": dict,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip("the published OpsGenie specification is not next to this checkout")
    return dict(json.loads(SPEC.read_text())["definitions"])


def flat(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references and allOf parts merged."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    merged = {**schema, "properties": {}, "required": []}
    for part in [flat(item, definitions) for item in schema.get("allOf", [])] + [schema]:
        merged["properties"] |= part.get("properties", {})
        merged["required"] += part.get("required", [])
    return merged


def check(value: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str) -> None:
    schema = flat(schema, definitions)
    if value is None and path.endswith(".timeRestriction"):
        return  # captured payloads have null here, which the specification does not say
    kind = schema.get("type") or ("object" if schema["properties"] else None)
    if kind:
        assert isinstance(value, TYPES[kind]), f"{path} is not {kind}"
    if "enum" in schema:
        assert value in schema["enum"], f"{path}: {value!r}"
    if isinstance(value, dict):
        missing = [name for name in schema["required"] if name not in value]
        assert not missing, f"{path} lacks {missing}"
        for name, part in schema["properties"].items():
            if name in value:
                check(value[name], part, definitions, f"{path}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            check(item, schema["items"], definitions, f"{path}[{number}]")


@pytest.mark.parametrize(
    ("path", "definition"),
    [
        ("/v1/incidents?limit=100", "ListIncidentsResponse"),
        ("/v1/incidents/{incident}", "GetIncidentResponse"),
        ("/v2/users", "ListUsersResponse"),
        ("/v2/teams", "ListTeamsResponse"),
        ("/v2/teams/{team}", "GetTeamResponse"),
        ("/v2/schedules?expand=rotation", "ListSchedulesResponse"),
        ("/v2/schedules/{schedule}", "GetScheduleResponse"),
        (
            "/v2/schedules/{schedule}/timeline?interval=3&expand=base,override,forwarding",
            "GetScheduleTimelineResponse",
        ),
        ("/v2/schedules/{schedule}/overrides", "ListScheduleOverrideResponse"),
        ("/v2/schedules/on-calls", "ListOnCallsResponse"),
        ("/v2/schedules/{schedule}/on-calls?flat=true", "GetOnCallResponse"),
        ("/v2/escalations", "ListEscalationsResponse"),
        ("/v2/account", "GetAccountInfoResponse"),
    ],
)
def test_an_answer_has_its_published_shape(
    demo: Api, definitions: dict[str, Any], path: str, definition: str
) -> None:
    store = demo.store
    ids = {
        "incident": store.incidents.all()[0].id,
        "team": next(iter(store.teams)),
        "schedule": next(iter(store.schedules)),
    }
    body = demo.get(path.format(**ids)).json()
    assert body["data"]
    check(body, definitions[definition], definitions, definition)


def test_request_status_and_errors_have_their_published_shapes(api: Api, definitions: dict[str, Any]) -> None:
    request_id = api.post("/v1/incidents/create", {"message": "x"}).json()["requestId"]
    body = api.get(f"/v1/incidents/requests/{request_id}").json()
    check(body, definitions["GetIncidentRequestStatusResponse"], definitions, "status")
    check(api.get("/v2/teams/missing").json(), definitions["ErrorResponse"], definitions, "error")
