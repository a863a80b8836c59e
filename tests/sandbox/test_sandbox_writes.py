"""Creating and changing incidents: accepted now, done later, found later still."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.opsgenie import Key
from tests.sandbox.sandbox_client import READER, WRITER, Api


def create(api: Api, **body: Any) -> str:
    response = api.post("/v1/incidents/create", {"message": "imported", **body})
    assert response.status_code == 202, response.text
    assert response.json()["result"] == "Request will be processed"
    return str(response.json()["requestId"])


def status(api: Api, request_id: str) -> requests.Response:
    return api.get(f"/v1/incidents/requests/{request_id}")


def test_a_create_is_accepted_and_its_request_has_the_incident_s_id(api: Api) -> None:
    data = status(api, create(api, priority="P1", tags=["a"], details={"k": "v"}, note="hello")).json()[
        "data"
    ]
    assert (data["isSuccess"], data["success"], data["action"]) == (True, True, "Create")
    assert data["status"] == "Created incident"
    made = api.data(f"/v1/incidents/{data['incidentId']}")
    assert (made["message"], made["priority"], made["status"]) == ("imported", "P1", "open")
    assert (made["tags"], made["extraProperties"]) == (["a"], {"k": "v"})
    assert [note["note"] for note in api.data(f"/v1/incidents/{made['id']}/notes")] == ["hello"]


def test_a_request_that_is_not_processed_yet_is_a_404_with_a_header(api: Api) -> None:
    """opsgenie-go-sdk-v2 polls on exactly this header."""
    api.store.requests.processing_ms = 5_000
    request_id = create(api)
    waiting = status(api, request_id)
    assert (waiting.status_code, waiting.headers["X-Opsgenie-Errortype"]) == (404, "RequestNotProcessed")
    assert len(api.store.incidents) == 0
    api.store.clock.advance(5)
    assert status(api, request_id).json()["data"]["isSuccess"] is True


def test_a_request_may_take_some_polls_though_its_work_is_done(api: Api) -> None:
    api.store.requests.processing_polls = 2
    request_id = create(api)
    assert [status(api, request_id).status_code for _ in range(3)] == [404, 404, 200]
    assert len(api.store.incidents) == 1


def test_an_unknown_request_is_a_404_without_the_header(api: Api) -> None:
    response = status(api, "99999999-9999-4999-8999-999999999999")
    assert response.status_code == 404
    assert "X-Opsgenie-Errortype" not in response.headers


def test_a_failed_request_is_a_200_without_success(api: Api) -> None:
    request_id = api.post("/v1/incidents/missing/resolve").json()["requestId"]
    response = status(api, request_id)
    assert response.status_code == 200
    data = response.json()["data"]
    assert (data["isSuccess"], data["status"], data["incidentId"]) == (False, "Incident does not exist", "")


def test_a_new_incident_is_read_by_id_before_the_search_finds_it(api: Api) -> None:
    api.store.incidents.index_lag_ms = 3_000
    id_ = status(api, create(api)).json()["data"]["incidentId"]
    assert api.get(f"/v1/incidents/{id_}").status_code == 200
    assert api.get("/v1/incidents").json()["totalCount"] == 0
    api.store.clock.advance(3)
    assert [item["id"] for item in api.data("/v1/incidents")] == [id_]


def test_create_has_no_means_to_set_times_or_to_dedupe(api: Api) -> None:
    """No createdAt, resolvedAt, impactStartDate or alias in the body: imported incidents are stamped now."""
    fields = {"createdAt": "2020-01-01T00:00:00Z", "impactStartDate": "2020-01-01T00:00:00Z", "alias": "x"}
    for _ in range(2):
        id_ = status(api, create(api, **fields)).json()["data"]["incidentId"]
    made = api.data(f"/v1/incidents/{id_}")
    assert made["createdAt"] == made["impactStartDate"] == "2024-06-12T12:00:00Z"
    assert len(api.store.incidents) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": "x" * 131}, "message"),
        ({"message": 5}, "message"),
        ({"description": "x" * 15_001}, "description"),
        ({"note": "x" * 25_001}, "note"),
        ({"tags": ["x"] * 21}, "tags"),
        ({"tags": ["x" * 51]}, "tags"),
        ({"details": {"k": "x" * 8_000}}, "details"),
        ({"details": {"k": 1}}, "details"),
        ({"priority": "P9"}, "priority"),
        ({"responders": [{"type": "robot"}]}, "responders#type"),
        ({"responders": [{"type": "team", "name": "Nobody"}]}, "responders"),
        ({"statusPageEntry": {"detail": "x"}}, "statusPageEntry.title"),
    ],
)
def test_a_field_over_its_limit_is_a_422_that_names_it(api: Api, body: dict[str, Any], field: str) -> None:
    response = api.post("/v1/incidents/create", {"message": "fine", **body})
    assert response.status_code == 422
    assert set(response.json()) == {"message", "errors", "took", "requestId"}
    assert set(response.json()["errors"]) == {field}


def test_limits_are_inclusive(api: Api) -> None:
    assert status(api, create(api, message="x" * 130, tags=["t" * 50] * 20)).json()["data"]["isSuccess"]


def test_a_body_that_is_no_json_object_is_a_400(api: Api) -> None:
    for raw in (b"{", b"[]"):
        assert api.call("POST", "/v1/incidents/create", data=raw).status_code == 400


def test_a_quiet_create_pages_nobody(api: Api) -> None:
    create(api, details={"pagerduty_id": "P1"}, tags=["pagerduty-import"])
    assert api.get("/_sandbox/pages", None).json() == {"pages": []}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("responders", [{"type": "team", "name": "Payments"}]),
        ("notifyStakeholders", True),
        ("statusPageEntry", {"title": "We are down"}),
        ("impactedServices", ["some-service"]),
    ],
)
def test_whatever_would_reach_people_is_recorded(api: Api, field: str, value: Any) -> None:
    id_ = status(api, create(api, **{field: value})).json()["data"]["incidentId"]
    pages = api.get("/_sandbox/pages", None).json()["pages"]
    assert [(page["incidentId"], page["reason"]) for page in pages] == [(id_, field)]


def test_the_life_of_an_incident(api: Api) -> None:
    id_ = status(api, create(api)).json()["data"]["incidentId"]
    path = f"/v1/incidents/{id_}"
    seen = []
    for action in ("resolve", "close", "reopen"):
        api.store.clock.advance(60)
        assert api.post(f"{path}/{action}", {"note": action}).status_code == 202
        seen.append(api.data(path)["status"])
    assert seen == ["resolved", "closed", "open"]
    entries = api.data(f"/v2/incident-timelines/{id_}/entries", order="asc")["entries"]
    assert [entry["type"] for entry in entries] == [
        "IncidentOpened",
        "IncidentResolved",
        "IncidentClosed",
        "IncidentReopened",
    ]
    assert len(api.data(f"{path}/notes")) == 3


def test_an_action_that_does_not_fit_the_status_fails_in_its_request(api: Api) -> None:
    made = api.store.incidents.add("one")
    request_id = api.post(f"/v1/incidents/{made.id}/reopen").json()["requestId"]
    assert status(api, request_id).json()["data"]["isSuccess"] is False


def test_tags_details_and_notes_can_be_added_and_removed(api: Api) -> None:
    made = api.store.incidents.add("one", tags=["a"], details={"k": "v"})
    path = f"/v1/incidents/{made.id}"
    api.post(f"{path}/tags", {"tags": ["b", "a"], "note": "why"})
    api.post(f"{path}/details", {"details": {"x": "y"}})
    api.post(f"{path}/notes", {"note": "hello"})
    after = api.data(path)
    assert (after["tags"], after["extraProperties"]) == (["a", "b"], {"k": "v", "x": "y"})
    assert {note["note"] for note in api.data(f"{path}/notes")} == {"why", "hello"}
    assert api.delete(f"{path}/tags", tags="a,b").status_code == 202
    assert api.delete(f"{path}/details", keys="k").status_code == 202
    assert (api.data(path)["tags"], api.data(path)["extraProperties"]) == ([], {"x": "y"})
    too_many = ",".join(str(number) for number in range(11))
    assert api.delete(f"{path}/details", keys=too_many).status_code == 422


def test_a_delete_is_asynchronous_and_final(api: Api) -> None:
    made = api.store.incidents.add("one")
    request_id = api.delete(f"/v1/incidents/{made.id}").json()["requestId"]
    assert status(api, request_id).json()["data"]["isSuccess"] is True
    assert api.get(f"/v1/incidents/{made.id}").status_code == 404


def test_only_a_custom_timeline_entry_can_be_backdated(api: Api) -> None:
    made = api.store.incidents.add("one")
    path = f"/v2/incident-timelines/{made.id}/entries"
    body = {"time": "2020-01-01T00:00:00Z", "description": {"type": "plain_text", "content": "it began"}}
    assert api.post(path, body).status_code == 201
    oldest = api.data(path, order="asc")["entries"][0]
    assert (oldest["type"], oldest["group"], oldest["eventTime"]) == (
        "CustomUserEntry",
        "custom",
        "2020-01-01T00:00:00Z",
    )
    assert api.post(path, {"time": "soon", "description": {"content": "x"}}).status_code == 422
    assert api.post(path, {"description": {}}).status_code == 422


def test_a_read_only_key_changes_nothing(api: Api) -> None:
    made = api.store.incidents.add("one")
    for path in ("/v1/incidents/create", f"/v1/incidents/{made.id}/close"):
        assert api.post(path, {"message": "x"}, READER).status_code == 403
    assert [incident.status for incident in api.store.incidents.all()] == ["open"]


def test_a_team_key_cannot_touch_another_team_s_incident(api: Api) -> None:
    made = api.store.incidents.add("one")
    api.store.keys[WRITER] = Key("team", team=next(iter(api.store.teams)))
    request_id = api.post(f"/v1/incidents/{made.id}/close").json()["requestId"]
    assert status(api, request_id).json()["data"]["isSuccess"] is False
    assert made.status == "open"
