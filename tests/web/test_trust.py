"""How far the matches can be trusted, other rules, and services with incidents but no deployments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests

from tests.support.page_world import follow

# Incidents of "checkout-svc", whose deployments are those of "checkout".
MORE = """
insert into staging.opsgenie_services (account, service_id, name, raw, synced_at)
values ('opsgenie_default', 'id-hair', 'checkout-svc', '{}', now()),
    ('opsgenie_default', 'id-mail', 'mail', '{}', now());
insert into staging.opsgenie_incidents (account, incident_id, message, status, created_at, raw, synced_at)
select 'opsgenie_default', 'hair-' || i, 'By a hair', 'open', now() - i * interval '30 hours', '{}', now()
from generate_series(1, 4) as i;
insert into staging.opsgenie_incident_services (account, incident_id, service_id, raw, synced_at)
select 'opsgenie_default', 'hair-' || i, case i when 4 then 'id-mail' else 'id-hair' end, '{}', now()
from generate_series(1, 4) as i;
insert into staging.deployments (source, deployment_id, service, environment, status, triggered_at)
values ('ci', 'quiet-1', 'quiet', 'production', 'success', now() - interval '3 days');
"""
LESS = """
delete from dora.service_map;
delete from staging.opsgenie_incident_services where incident_id like 'hair-%';
delete from staging.opsgenie_incidents where incident_id like 'hair-%';
delete from staging.opsgenie_services where service_id in ('id-hair', 'id-mail');
delete from staging.deployments where source = 'ci';
"""


@pytest.fixture
def strangers(site: Any) -> Iterator[Any]:
    """The site with services that do not meet."""
    for statements in (MORE, LESS):
        with site.warehouse.connection() as connection:
            connection.execute(statements)
        follow(site.warehouse)
        if statements is MORE:
            yield site


def words(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text)))


def test_the_matches_are_worth_what_the_tables_say(site: Any) -> None:
    """Every second incident of the company follows its deployment; none precedes its own."""
    viewer = site.session("viewer")
    with site.warehouse.connection() as connection:
        following, preceding = connection.execute(
            "select matched_following, matched_preceding from dora.match_quality where service = 'checkout'"
        ).fetchone()
    answer = viewer.get(f"{site.pages}/trust?service=Checkout", timeout=30)
    text = words(answer)
    assert f"{following} of {following + preceding} matched incidents opened after their deployment" in text
    assert f"checkout: {following} matched incidents opened after their deployment" in answer.text
    overview = words(viewer.get(f"{site.pages}/?service=checkout", timeout=30))
    assert (
        f"{following} of {following + preceding} matched incidents opened after their deployment" in overview
    )
    assert "Without coincidental matches: about" in overview


def test_what_if_changes_nothing_and_says_what_would_be(site: Any) -> None:
    viewer = site.session("viewer")
    with site.warehouse.connection() as connection:
        connection.execute("create table public.before as select * from dora.incident_attribution")
        expected = connection.execute(
            "select change_failure_rate from dora.what_if(now() - interval '90 days', now()) "
            "where service = 'search' and window_hours = 4 and direction = 'before_only'"
        ).fetchone()[0]
    text = words(viewer.get(f"{site.pages}/what-if?service=search&direction=before_only", timeout=30))
    assert f"{expected * 100:.1f} %" in text
    assert "Within 8 h" in text
    assert "(now)" in words(viewer.get(f"{site.pages}/what-if", timeout=30))
    with site.warehouse.connection() as connection:
        assert (
            connection.execute(
                "select * from dora.incident_attribution except select * from public.before"
            ).fetchall()
            == []
        )
        connection.execute("drop table public.before")


def test_what_if_of_too_much_is_of_the_most_recent_part(client: Any, site: Any, monkeypatch: Any) -> None:
    found = {"conn_type": "postgres", "host": site.host, "login": "postgres", "schema": "warehouse"}
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES_DEFAULT", json.dumps(found))
    assert "Only the most recent part" not in client.get("/what-if").text
    monkeypatch.setattr("opsgenie_provider.web.trust.MOST_INCIDENTS", 10)
    assert "Only the most recent part" in client.get("/what-if").text


def asset_events(site: Any) -> int:
    with site.airflow_database() as database:
        row = database.execute(
            "select count(*) from asset_event join asset on asset.id = asset_event.asset_id "
            "where asset.name = 'dora.service_map'"
        ).fetchone()
    return int(row[0])


def test_a_service_is_mapped_and_unmapped_in_the_page(strangers: Any) -> None:
    site = strangers
    session = site.session("user")
    before = asset_events(site)
    page = session.get(f"{site.pages}/services", timeout=30)
    text = words(page)
    assert re.search("checkout-svc 3 checkout id-hair opsgenie_default Map", text)
    # Nothing is like it, and it is listed all the same.
    assert re.search("mail 1 – id-mail opsgenie_default Map", text)
    assert "quiet (1 deployment)" in text
    link = unescape(re.search(r'href="(service-map\?[^"]*id-hair[^"]*)"', page.text)[1])

    def send(**fields: str) -> requests.Response:
        form = session.get(f"{site.pages}/{link}", timeout=30)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form.text))
        answer: requests.Response = session.post(
            f"{site.pages}/service-map", data=hidden | fields, timeout=30
        )
        return answer

    assert send(decision="map", service="nobody", reason="x").status_code == 422
    assert send(decision="map", service="checkout", reason=" ").status_code == 422
    answer = send(decision="map", service=" Checkout", reason="the same <b>team</b>")
    assert answer.url.endswith("services?saved=yes"), answer.text
    assert "the same &lt;b&gt;team&lt;/b&gt;" in answer.text
    assert asset_events(site) == before + 1
    follow(site.warehouse)
    count = "select count(*) from dora.incident_attribution where service = 'checkout-svc'"
    with site.warehouse.connection() as connection:
        assert connection.execute("select service, reason, decided_by from dora.service_map").fetchall() == [
            ("Checkout", "the same <b>team</b>", "user")
        ]
        assert connection.execute(count).fetchone() == (0,)
    assert "checkout id-hair" not in words(session.get(f"{site.pages}/services", timeout=30))
    assert send(decision="remove").url.endswith("saved=yes")
    follow(site.warehouse)
    with site.warehouse.connection() as connection:
        assert connection.execute(count).fetchone() == (3,)


def test_mapping_a_service_needs_the_right_and_a_form_of_ours(strangers: Any) -> None:
    site = strangers
    asked = {"account": "opsgenie_default", "service_id": "id-hair"}
    viewer, user = site.session("viewer"), site.session("user")
    assert site.session().get(f"{site.pages}/service-map", params=asked, timeout=30).status_code == 401
    assert viewer.get(f"{site.pages}/service-map", params=asked, timeout=30).status_code == 403
    form = user.get(f"{site.pages}/service-map", params=asked, timeout=30).text
    token = re.search(r'name="token" value="([^"]+)"', form)[1]
    data = {"decision": "map", "service": "checkout", "reason": "stolen", "token": token}
    for session, changed in ((viewer, {}), (user, {"token": ""}), (user, {"service_id": "id-mail"})):
        answer = session.post(f"{site.pages}/service-map", data=asked | data | changed, timeout=30)
        assert answer.status_code == 403
    with site.warehouse.connection() as connection:
        assert connection.execute("select from dora.service_map").rowcount == 0
    gone = {"account": "opsgenie_default", "service_id": "nowhere"}
    assert user.get(f"{site.pages}/service-map", params=gone, timeout=30).status_code == 404
