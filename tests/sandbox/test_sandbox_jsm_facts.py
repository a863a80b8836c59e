"""The published field names, types and limits, where the notes on them are next to this checkout."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.sandbox_client import Jsm

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs" / "jsm"
PRIMITIVES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "int": int,
    "int32": int,
    "int64": int,
    "number": (int, float),
    "object": dict,
}


def read(name: str) -> dict[str, Any]:
    if not SPECS.exists():
        pytest.skip("the notes on the JSM API are not next to this checkout")
    return dict(json.loads((SPECS / name).read_text()))


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return read("ops-read.json")


@pytest.fixture(scope="module")
def others() -> dict[str, Any]:
    return read("incidents-services-jira.json")


class Checker:
    """Holds a body against the notation of the notes: type<format>, [] for an array, ref:Name, a|b."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas

    def named(self, value: Any, name: str, path: str) -> None:
        """Every field that comes is a published one, with its type. None of them is required."""
        schema = self.schemas[name]
        assert isinstance(value, dict), path
        assert set(value) <= set(schema), f"{path} has unpublished {set(value) - set(schema)}"
        for field, found in value.items():
            self.check(found, schema[field], f"{path}.{field}")

    def check(self, value: Any, notation: str, path: str) -> None:
        if value is None:
            assert "null" in notation, f"{path} is null"
            return
        if notation[0] in "[{":
            self.inline(value, notation, path)
            return
        word = re.split(r"[\s;:,<(]", notation.removeprefix("ref:"), maxsplit=1)[0]
        if word.endswith("[]"):
            assert isinstance(value, list), path
            item = notation.replace("[]", "", 1)
            for number, element in enumerate(value):
                self.check(element, item, f"{path}[{number}]")
        elif notation.startswith("ref:"):
            # Of several, the schema that has all the fields that came.
            names = re.findall(r"ref:(\w+)", notation)
            self.named(
                value, next((name for name in names if set(value) <= set(self.schemas[name])), names[0]), path
            )
        elif word in PRIMITIVES:
            assert isinstance(value, PRIMITIVES[word]), f"{path}: {value!r} is not {word}"
        else:
            known = ["P1", "P2", "P3", "P4", "P5"] if word == "P1..P5" else word.split("|")
            assert value in known, f"{path}: {value!r} is not among {known}"

    def inline(self, value: Any, notation: str, path: str) -> None:
        """`{a, b}` or `[{a, b}]`: the names must be in it."""
        if notation.startswith("["):
            assert isinstance(value, list), path
        for item in value if isinstance(value, list) else [value]:
            assert set(item) <= set(re.findall(r"\w+", notation)), f"{path}: {item!r}"


def ids(demo: Jsm) -> dict[str, str]:
    operations = demo.store.operations
    schedule = next(found for found in operations.schedules.values() if found.name == "Payments_schedule")
    policy = next(found for found in operations.escalations.values() if found.team_id == schedule.team_id)
    alert = demo.store.alerts.all()[0]
    return {
        "schedule": schedule.id, "rotation": schedule.rotations[0].id, "team": schedule.team_id,
        "escalation": policy.id, "alert": alert.id, "alias": alert.alias,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/schedules?expand=rotation", "ListSchedules"),
        ("/schedules/{schedule}", "Schedule"),
        ("/schedules/{schedule}/rotations/{rotation}", "Rotation"),
        ("/schedules/{schedule}/timeline?interval=3&expand=base&expand=override&expand=forwarding",
         "ScheduleTimeline"),
        ("/schedules/{schedule}/on-calls", "OnCallParticipants"),
        ("/schedules/{schedule}/on-calls?flat=true", "OnCallUsers"),
        ("/teams/{team}/escalations/{escalation}", "Escalation"),
        ("/alerts/{alert}", "Alert"),
        ("/alerts/alias?alias={alias}", "Alert"),
    ],
)  # fmt: skip
def test_an_answer_has_published_fields_alone(
    jira_demo: Jsm, spec: dict[str, Any], path: str, schema: str
) -> None:
    body = jira_demo.ops(path.format(**ids(jira_demo)))
    Checker(spec["schemas"]).named(body, schema, schema)


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/schedules/{schedule}/rotations", "Rotation"),
        ("/schedules/{schedule}/overrides", "Override"),
        ("/teams/{team}/escalations", "Escalation"),
        ("/alerts?size=100", "Alert"),
        ("/alerts/{alert}/logs", "AlertLog"),
    ],
)
def test_a_list_has_values_and_links(jira_demo: Jsm, spec: dict[str, Any], path: str, item: str) -> None:
    body = jira_demo.ops(path.format(**ids(jira_demo)))
    assert set(body) - {"count"} == {"values", "links"}
    assert body["values"]
    Checker(spec["schemas"]).check(body["values"], f"ref:{item}[]", item)
    Checker(spec["schemas"]).named(body["links"], "Links", "links")


def test_teams_and_roles_have_their_own_envelopes(jira_demo: Jsm, spec: dict[str, Any]) -> None:
    checker = Checker(spec["schemas"])
    checker.check(jira_demo.ops("/teams")["platformTeams"], "ref:PlatformTeam[]", "teams")
    roles = jira_demo.ops("/teams/{team}/roles".format(**ids(jira_demo)))
    checker.check(roles, "ref:TeamRole[]", "roles")


def test_every_schedule_s_timeline_has_its_published_shape(jira_demo: Jsm, spec: dict[str, Any]) -> None:
    for schedule in jira_demo.store.operations.schedules:
        for when in ({}, {"date": "2024-05-15T00:00:00Z", "intervalUnit": "months"}):
            body = jira_demo.ops(f"/schedules/{schedule}/timeline", **when)
            Checker(spec["schemas"]).named(body, "ScheduleTimeline", schedule)


def test_page_sizes_have_their_published_defaults_and_caps(jira_demo: Jsm, spec: dict[str, Any]) -> None:
    """Of every endpoint here that has a size with bounds."""
    seen = 0
    names = {"scheduleId": "schedule", "teamId": "team"}
    for endpoint in spec["endpoints"]:
        bounds = re.match(r"int32 (\d+)\.\.(\d+) default (\d+)", endpoint["params"].get("size", ""))
        path = re.sub(r"{(\w+)}", lambda found: "{" + names.get(found[1], "alert") + "}", endpoint["get"])
        url = jira_demo.ops_base + path.removeprefix("/v1").format(**ids(jira_demo))
        if bounds is None or jira_demo.get(url).status_code == 404:
            continue
        low, high, default = (int(number) for number in bounds.groups())
        assert [jira_demo.get(url, size=size).status_code for size in (low - 1, low, high, high + 1)] == [
            422, 200, 200, 422,
        ]  # fmt: skip
        assert len(jira_demo.get(url).json()["values"]) <= default
        seen += 1
    assert seen == 5


def test_what_is_not_there_is_a_404(jira_demo: Jsm) -> None:
    paths = ("/incidents", "/services", "/users", "/escalations", "/schedules/on-calls", "/account")
    assert {jira_demo.get(jira_demo.ops_base + path).status_code for path in paths} == {404}


def test_errors_have_their_published_shapes(jira_demo: Jsm, spec: dict[str, Any]) -> None:
    checker = Checker(spec["schemas"])
    missing = jira_demo.get(f"{jira_demo.ops_base}/schedules/missing").json()
    checker.named(missing, "Errors", "errors")
    unknown = jira_demo.call("GET", f"{jira_demo.ops_base}/schedules", "Basic bm86bm8=").json()
    checker.named(unknown, "Unauthorized", "unauthorized")


def test_services_have_their_published_fields(jira_demo: Jsm, others: dict[str, Any]) -> None:
    body = jira_demo.services()
    assert set(body) == {"services", "pagination"}
    assert set(body["pagination"]) == {"totalCount", "hasNext"}
    Checker({"Service": others["services"]["Service"]}).check(body["services"], "ref:Service[]", "services")


def test_jira_s_envelopes_have_their_published_keys(jira_demo: Jsm, others: dict[str, Any]) -> None:
    params = {"jql": 'issuetype = "[System] Incident"', "fields": "*all", "expand": "changelog"}
    search = jira_demo.jira("/search/jql", **params)
    assert set(search) == set(others["jira_search"]["returns"])
    (history,) = {
        frozenset(entry) | {"author"}
        for issue in search["issues"]
        for entry in issue["changelog"]["histories"]
    }
    assert history == set(others["jira_changelog"]["history"])
    fields = set(others["jira_issue_fields"]) - {"id", "key", "fields.assignee|reporter|creator"}
    wanted = {name.removeprefix("fields.") for name in fields if name.startswith("fields.")}
    assert wanted <= set(search["issues"][0]["fields"])
    users = jira_demo.jira("/user/bulk", accountId=list(jira_demo.store.accounts))
    assert {"values", "total", "isLast"} <= set(users)
