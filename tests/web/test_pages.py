"""The pages' routes as anyone on the network may ask them: with no login, a viewer's, and bad intentions."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
import requests

from opsgenie_provider.end_of_life import OPSGENIE_ENDS
from tests.support.page_world import SCRIPT

PATHS = (
    "",
    "trust",
    "what-if",
    "services",
    "incidents",
    "incidents.csv",
    "on-call",
    "escalations",
    "sync",
    "migration",
    "static/page.css",
)
INCIDENT = {
    "source": "opsgenie",
    "account": "opsgenie_default",
    "incident_id": "incident-2",
    "service": "checkout",
}


def token_in(text: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', text)
    assert found, text
    return found[1]


@pytest.mark.parametrize("path", [*PATHS, "static/plotly.min.js", "override", "nowhere"])
def test_nobody_sees_anything_without_a_login(site: Any, path: str) -> None:
    answer = site.session().get(f"{site.pages}/{path}", params=INCIDENT, timeout=30)
    assert answer.status_code == (404 if path == "nowhere" else 401)
    assert "incident-" not in answer.text
    assert "Incident 5" not in answer.text


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json"])
def test_the_app_does_not_describe_itself(site: Any, path: str) -> None:
    assert site.session("admin").get(f"{site.pages}/{path}", timeout=30).status_code == 404


def test_an_override_needs_a_login(site: Any) -> None:
    assert site.session().post(f"{site.pages}/override", data=INCIDENT, timeout=30).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_viewer_sees_the_pages(site: Any, path: str) -> None:
    answer = site.session("viewer").get(f"{site.pages}/{path}", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    # Nothing is fetched from another host.
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//(?!example|github)""", answer.text)


def test_what_the_pages_say(site: Any) -> None:
    viewer = site.session("viewer")

    def page(path: str) -> str:
        return re.sub(r"\s+", " ", viewer.get(f"{site.pages}/{path}", timeout=30).text)

    assert "ada@example.com" in page("on-call")
    assert "times when nobody is on call" in page("on-call")
    assert "After 5 min, if nobody has acknowledged, notify schedule Checkout_schedule" in page("escalations")
    assert "Repeated 2 times" in page("escalations")
    assert "The key sees less." in page("sync")
    assert str(OPSGENIE_ENDS) in page("sync")
    assert "no id" in page("sync")
    with site.warehouse.connection() as connection:
        # The page shows the latest few, and other tests refresh, too.
        connection.execute(
            "insert into dora.refreshes "
            "(is_full, window_before, window_after, direction, environments, error) "
            "values (true, '4 hours', '4 hours', 'both', '{production}', 'Data check a failed')"
        )
    assert "failed: Data check a failed" in page("sync")
    assert re.search(r"succeeded, \d data checks passed", page("sync"))
    assert "not recovered, or their recovery time is unknown" in page("")
    assert "refused" in page("migration")


def test_an_incident_of_unknown_recovery_is_not_drawn_as_open(site: Any) -> None:
    text = site.session("viewer").get(f"{site.pages}/?service=checkout&days=90", timeout=30).text
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', text)[1])
    ends = {mark["id"]: (mark["until"] is None, mark["is_open"]) for mark in charts["timeline"]}
    assert (ends["incident-119"], ends["incident-10"]) == ((True, False), (True, True))


def test_a_viewer_may_not_override(site: Any) -> None:
    viewer = site.session("viewer")
    assert viewer.get(f"{site.pages}/override", params=INCIDENT, timeout=30).status_code == 403
    admin = site.session("admin")
    token = token_in(admin.get(f"{site.pages}/override", params=INCIDENT, timeout=30).text)
    data = {**INCIDENT, "token": token, "deployment": "none", "reason": "stolen"}
    assert viewer.post(f"{site.pages}/override", data=data, timeout=30).status_code == 403


@pytest.mark.parametrize("token", ["", "nonsense", None])
def test_a_form_of_another_site_is_refused(site: Any, token: str | None) -> None:
    session = site.session("user")
    if token is None:
        # Of the same user, but for another incident.
        other = {**INCIDENT, "incident_id": "incident-5"}
        token = token_in(session.get(f"{site.pages}/override", params=other, timeout=30).text)
    data = {**INCIDENT, "token": token, "deployment": "none", "reason": "forged"}
    answer = session.post(f"{site.pages}/override", data=data, timeout=30)
    assert answer.status_code == 403
    with site.warehouse.connection() as connection:
        count = connection.execute("select from dora.attribution_overrides where reason = 'forged'").rowcount
    assert count == 0


def override_events(site: Any) -> int:
    with site.airflow_database() as database:
        row = database.execute(
            "select count(*) from asset_event join asset on asset.id = asset_event.asset_id "
            "where asset.name = 'dora.attribution_overrides' "
            "and (asset_event.extra ->> 'override') = 'incident-2'"
        ).fetchone()
    return int(row[0])


def test_an_override_is_saved_with_its_author_and_dora_metrics_is_notified(site: Any) -> None:
    session = site.session("user")
    # Other tests save overrides, too.
    before = override_events(site)

    def send(**fields: str) -> requests.Response:
        page = session.get(f"{site.pages}/override", params=INCIDENT, timeout=30)
        data = {**INCIDENT, "token": token_in(page.text), **fields}
        answer: requests.Response = session.post(f"{site.pages}/override", data=data, timeout=30)
        return answer

    assert send(deployment="none").status_code == 422
    assert send(deployment="github 999999", reason="gone").status_code == 422
    assert send(deployment="other", other_source="github", other_id="", reason="?").status_code == 422
    answer = send(deployment="github 1005", reason="a flag was <b>left</b> on")
    assert answer.url.endswith("incidents?saved=yes"), answer.text
    with site.warehouse.connection() as connection:
        stored = connection.execute(
            "select deployment_source, deployment_id, reason, decided_by from dora.attribution_overrides "
            "where incident_id = 'incident-2'"
        ).fetchall()
    assert stored == [("github", "1005", "a flag was <b>left</b> on", "user")]
    with site.airflow_database() as database:
        queued = database.execute(
            "select count(*) from asset_dag_run_queue as queue join asset on asset.id = queue.asset_id "
            "where target_dag_id = 'dora_metrics' and asset.name = 'dora.attribution_overrides'"
        ).fetchone()
    assert queued == (1,)
    assert override_events(site) == before + 1
    assert send(deployment="remove").url.endswith("saved=yes")
    with site.warehouse.connection() as connection:
        assert connection.execute("select from dora.attribution_overrides").rowcount == 0


def test_hostile_texts_are_shown_as_texts(site: Any) -> None:
    session = site.session("admin")
    text = session.get(f"{site.pages}/incidents", timeout=30).text
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    assert "javascript:" not in text
    found = session.get(f"{site.pages}/incidents", params={"service": SCRIPT}, timeout=30)
    assert found.status_code == 200
    assert SCRIPT not in found.text


@pytest.mark.parametrize(
    "query",
    [
        "service='; drop table dora.incidents; --",
        "service=%00",
        "service=" + "x" * 2000,
        "priority=P9",
        "status=' or 1=1",
        "match_status[]=1",
        "since=2025-13-45",
        "since=0001-01-01&until=9999-12-31",
        "since=infinity",
        "until=99999999-01-01",
        "older=AAAA",
        "older=" + "A" * 3000,
        "newer=WzEsMiwzLDQsNV0=",
        "older=bnVsbA==&newer=%F0%9F%92%A9",
        "grain=year",
        "period=infinity&days=99999999999999999999999",
        "days=-1&period=%27",
    ],
)
@pytest.mark.parametrize("path", ["", "incidents", "incidents.csv"])
def test_hostile_queries_are_answered_calmly(site: Any, path: str, query: str) -> None:
    answer = site.session("viewer").get(f"{site.pages}/{path}?{query}", timeout=30)
    assert answer.status_code in (200, 422), answer.text
    assert "Traceback" not in answer.text


def test_the_history_is_paged_whole_and_in_order(site: Any) -> None:
    session = site.session("viewer")
    seen: list[str] = []
    pages = [f"{site.pages}/incidents?status=resolved"]
    while len(pages) < 10:
        text = session.get(pages[-1], timeout=30).text
        seen += re.findall(r"incident_id=(incident-\d+)&", text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        if not older:
            break
        pages.append(f"{site.pages}/{older[1].replace('&amp;', '&')}")
    assert seen == [f"incident-{i}" for i in range(1, 121) if i % 10]
    back = re.search(r'rel="prev" href="([^"]+)"', text)
    assert back
    text = session.get(f"{site.pages}/{back[1].replace('&amp;', '&')}", timeout=30).text
    assert re.findall(r"incident_id=(incident-\d+)&", text) == seen[50:100]


def test_the_csv_has_what_is_filtered_and_no_formulas(site: Any) -> None:
    answer = site.session("viewer").get(f"{site.pages}/incidents.csv?service=checkout", timeout=30)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["incident_id"] for row in rows] == [f"incident-{i}" for i in range(1, 121) if i % 3]
    assert rows[1]["title"] == '\'=HYPERLINK("x")'
    assert rows[1]["on_call"] == "ada@example.com"
    matched = next(row for row in rows if row["incident_id"] == "incident-2")
    assert (matched["match_status"], matched["deployment_id"], matched["offset_seconds"]) == (
        "matched",
        "1002",
        "1800.0",
    )
