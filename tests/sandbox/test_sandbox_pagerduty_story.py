"""The months before OpsGenie, and the published specification where it covers an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.instants import to_nanos
from sandbox.pagerduty import Store
from sandbox.world import World
from tests.sandbox.sandbox_client import Reader

Pd = Reader[Store]
SPEC = Path(__file__).resolve().parents[3] / "shared" / "specs" / "pagerduty" / "rest-openapiv3.json"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "array": list,
    "object": dict,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def read(pd: Pd, path: str, name: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more = True
    while more:
        body = pd.json(path, limit=100, offset=len(found), **params)
        found += body[name]
        more = body["more"]
    return found


@pytest.fixture(scope="module")
def items(pd_demo: Pd) -> list[dict[str, Any]]:
    return read(pd_demo, "/incidents", "incidents", date_range="all")


def test_the_incidents_end_before_opsgenie_s_begin(items: list[dict[str, Any]], world: World) -> None:
    created = [to_nanos(item["created_at"]) for item in items]
    assert max(created) <= world.start
    numbers = [item["incident_number"] for item in items]
    assert numbers == sorted(set(numbers))
    assert created == sorted(created)


def test_every_kind_of_incident_is_there(items: list[dict[str, Any]], pd_demo: Pd) -> None:
    entries = read(pd_demo, "/log_entries", "log_entries")
    by_incident: dict[str, list[str]] = {}
    for entry in reversed(entries):
        by_incident.setdefault(entry["incident"]["id"], []).append(entry["type"].removesuffix("_log_entry"))
    kinds: dict[str, Callable[[dict[str, Any]], object]] = {
        "triggered": lambda incident: incident["status"] == "triggered",
        "acknowledged": lambda incident: (
            incident["status"] == "acknowledged" and incident["acknowledgements"]
        ),
        "merged": lambda incident: incident["resolve_reason"],
        "resolved twice": lambda incident: by_incident[incident["id"]].count("resolve") == 2,
        "acknowledgement timed out": lambda incident: "unacknowledge" in by_incident[incident["id"]],
        "never acknowledged": lambda incident: "acknowledge" not in by_incident[incident["id"]],
        "no priority": lambda incident: incident["priority"] is None,
        "deleted service": lambda incident: incident["service"]["self"] is None,
        "300 characters with emoji": lambda incident: (
            len(incident["title"]) == 300 and "😱" in incident["title"]
        ),
        "null acknowledgements": lambda incident: incident["acknowledgements"] is None,
        "null teams": lambda incident: incident["teams"] is None,
        "with alerts": lambda incident: incident["incident_key"] is None,
        "by hand": lambda incident: incident["is_mergeable"] and incident["incident_key"],
        "low urgency": lambda incident: incident["urgency"] == "low",
        "resolved by the service": lambda incident: (
            (incident["last_status_change_by"] or {}).get("type") == "service_reference"
        ),
    }
    assert [kind for kind, test in kinds.items() if not any(test(item) for item in items)] == []
    reopened_by = {
        kinds[kinds.index("resolve") + 1] for kinds in by_incident.values() if kinds.count("resolve") == 2
    }
    assert {"trigger", "unacknowledge", "acknowledge"} <= reopened_by
    channels = {item["channel"]["type"] for item in entries if item["type"] == "resolve_log_entry"}
    assert {"website", "api", "timeout"} <= channels


def test_there_are_notes_by_people_and_bots_and_edited_ones(items: list[dict[str, Any]], pd_demo: Pd) -> None:
    annotated = {incident.id for incident in pd_demo.store.incidents.all() if incident.notes}
    assert annotated <= {item["id"] for item in items}
    notes = [note for id_ in sorted(annotated) for note in pd_demo.json(f"/incidents/{id_}/notes")["notes"]]
    assert {note["user"]["type"] for note in notes} == {"user_reference", "bot_user_reference"}
    assert any(note["updated_at"] > note["created_at"] for note in notes)


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip("the published PagerDuty specification is not next to this checkout")
    return dict(json.loads(SPEC.read_text()))


def resolve(schema: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """A schema with its references and allOf parts merged; the later type's enum wins."""
    while "$ref" in schema:
        found: Any = spec
        for part in schema["$ref"].removeprefix("#/").split("/"):
            part = part.replace("~1", "/")
            found = found[int(part)] if isinstance(found, list) else found[part]
        schema = found
    merged = {**schema, "properties": {}, "required": list(schema.get("required", []))}
    for part in [resolve(item, spec) for item in schema.get("allOf", [])]:
        merged["properties"] |= part["properties"]
        merged["required"] += part["required"]
    merged["properties"] |= schema.get("properties", {})
    return merged


def problems(value: Any, schema: dict[str, Any], spec: dict[str, Any], path: str) -> list[str]:
    """Where a value is not what the specification says; null is fine where nothing is required."""
    schema = resolve(schema, spec)
    if value is None:
        return []
    if "oneOf" in schema and not schema["properties"]:
        tries = [problems(value, option, spec, path) for option in schema["oneOf"]]
        return [] if not all(tries) else min(tries, key=len)
    kind = schema.get("type") or ("object" if schema["properties"] else None)
    # "An arbitrary JSON object or string", and yet of type object.
    if kind and not isinstance(value, TYPES[kind]) and not path.endswith(".details"):
        return [f"{path} is not {kind}"]
    found = []
    # The specification's AcknowledgeLogEntry says acknowledgement_log_entry; real answers do not.
    if "enum" in schema and value not in [*schema["enum"], "acknowledge_log_entry"]:
        found.append(f"{path}: {value!r}")
    if isinstance(value, dict):
        found += [f"{path} lacks {name}" for name in schema["required"] if name not in value]
        for name, part in schema["properties"].items():
            # References are declared as the whole thing in places (priority, integration).
            if name in value and not (name == "type" and str(value["type"]).endswith("_reference")):
                found += problems(value[name], part, spec, f"{path}.{name}")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += problems(item, schema.get("items", {}), spec, f"{path}[{number}]")
    return found


@pytest.mark.parametrize(
    ("template", "params"),
    [
        ("/abilities", {}),
        ("/incidents", {"date_range": "all", "limit": 100}),
        ("/incidents", {"date_range": "all", "limit": 5, "include[]": ["services", "priorities", "teams"]}),
        ("/incidents/{id}", {}),
        ("/incidents/{id}/log_entries", {}),
        ("/incidents/{id}/notes", {}),
        ("/incidents/{id}/alerts", {}),
        ("/log_entries", {"limit": 100}),
        ("/priorities", {}),
        ("/services", {}),
        ("/teams", {}),
        ("/users", {}),
        ("/escalation_policies", {}),
    ],
)
def test_an_answer_has_its_published_shape(
    pd_demo: Pd, spec: dict[str, Any], template: str, params: dict[str, Any]
) -> None:
    busy = max(
        pd_demo.store.incidents.all(), key=lambda incident: (bool(incident.alerts), len(incident.notes))
    )
    body = pd_demo.json(template.format(id=busy.id), **params)
    content = spec["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]
    assert problems(body, content["schema"], spec, template) == []
    example = content["examples"]["response"]["value"] if "examples" in content else {}
    for name, value in example.items():
        if name != "total":
            assert name in body, f"{template} lacks {name}"
        if isinstance(value, list) and value and isinstance(value[0], dict) and body[name]:
            optional = {"conference_bridge", "support_hours", "alert_grouping_parameters"}
            optional |= {"auto_pause_notifications_parameters", "html_url", "event_details"}
            assert set(value[0]) - set(body[name][0]) - optional == set(), (
                f"{template}: fields of the example"
            )


def test_errors_have_their_published_shape(pd_demo: Pd, spec: dict[str, Any]) -> None:
    responses = spec["paths"]["/incidents/{id}"]["get"]["responses"]
    schema = resolve(responses["404"], spec)["content"]["application/json"]["schema"]
    assert problems(pd_demo.get("/incidents/QNONE").json(), schema, spec, "error") == []
