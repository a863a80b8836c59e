"""The mapping from PagerDuty to OpsGenie: pure, within the limits, and without loss of what it can hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from opsgenie_provider.migration.options import Options
from opsgenie_provider.migration.payloads import (
    DETAILS,
    MESSAGE,
    Note,
    NotImportable,
    SourceIncident,
    default_priorities,
    differences,
    has_text,
    payload_of,
    priority_of,
    violations,
)
from opsgenie_provider.rows.graphemes import cut, length

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
FAMILY, FLAG, WAVE = "👩‍👩‍👧‍👦", "🇩🇪", "👋🏽"
UNITS = ["a", " ", "é", "e\u0301", "न्", FAMILY, FLAG, WAVE, "각", "\r\n"]
TEXTS = st.text() | st.lists(st.sampled_from(UNITS)).map("".join)


def incident(**fields: Any) -> SourceIncident:
    given_ = {"title": "Down", "status": "resolved", "resolved_at": AT + timedelta(hours=1)}
    return SourceIncident("pd", "Q1", AT, **given_ | fields)


instants = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
notes = st.lists(st.builds(Note, TEXTS, st.none() | TEXTS, st.none() | instants))
incidents = st.builds(
    SourceIncident,
    st.text(min_size=1, max_size=30),
    st.text("ABC123", min_size=1, max_size=14),
    instants,
    number=st.none() | st.integers(1, 10**9),
    title=st.none() | TEXTS | TEXTS.map(lambda text: text * 40),
    body=st.none() | TEXTS.map(lambda text: text * 900),
    status=st.sampled_from(["resolved", "triggered", "acknowledged", None]),
    urgency=st.sampled_from(["high", "low", None, "odd"]),
    priority=st.none() | TEXTS,
    service=st.none() | TEXTS.map(lambda text: text * 50),
    acknowledged_at=st.none() | instants,
    resolved_at=st.none() | instants,
    web_url=st.none() | TEXTS,
    notes=notes,
)


@given(TEXTS | TEXTS.map(lambda text: text * 30), st.integers(1, 200))
def test_a_cut_takes_no_character_apart(text: str, limit: int) -> None:
    found = cut(text, limit)
    assert length(found) <= limit
    if length(text) <= limit:
        assert found == text
        return
    assert found.endswith("…")
    kept = found[:-1]
    assert text.startswith(kept)
    clusters = regex.findall(r"\X", text)
    whole = {sum(map(len, clusters[:n])) for n in range(len(clusters) + 1)}
    # What was stripped at the end is blank; one endless character has nowhere else to be cut.
    ends = {len(text[:end].rstrip()) for end in whole}
    assert len(kept) in ends or length(clusters[0]) > limit - 4


@pytest.mark.parametrize("unit", [FAMILY, FLAG, WAVE, "e\u0301", "𝄞", "각"])
def test_a_title_of_300_characters_is_cut_between_characters(unit: str) -> None:
    payload = payload_of(incident(title=unit * 300), Options(), {})
    message = payload["create"]["message"]
    assert MESSAGE - length(unit) - 1 <= length(message) <= MESSAGE
    assert set(regex.findall(r"\X", message[:-1])) == {unit}
    assert payload["create"]["description"].startswith(unit * 300)


@given(incidents, st.booleans(), st.booleans())
def test_what_is_planned_is_within_the_limits(source: SourceIncident, notes: bool, open_: bool) -> None:
    options = Options(include_open=open_, import_notes=notes)
    if source.status != "resolved" and not open_:
        with pytest.raises(NotImportable, match="not resolved"):
            payload_of(source, options, {})
        return
    if length(source.web_url or "") > 5_000:
        return
    payload = payload_of(source, options, {})
    assert violations(payload) == []
    assert json.loads(json.dumps(payload)) == payload
    create = payload["create"]
    assert create.keys() <= {"message", "description", "tags", "details", "priority"}
    assert create["tags"] == ["pagerduty-import", f"pd:{source.incident_id}"]
    assert all(isinstance(value, str) and value for value in create["details"].values())
    assert datetime.fromisoformat(create["details"]["pagerduty_created_at"]) == source.created_at
    said = create["details"].get("seconds_to_recover")
    if source.resolved_at and source.resolved_at >= source.created_at:
        assert (
            Decimal(said)
            == Decimal((source.resolved_at - source.created_at) // timedelta(microseconds=1)) / 10**6
        )
    else:
        assert said is None
    assert len(payload["notes"]) == (sum(has_text(note.content) for note in source.notes) if notes else 0)
    assert payload["resolve"] is (source.status == "resolved")


def test_notes_are_in_the_order_of_time_with_author() -> None:
    later, first = Note("second", "Bob", AT + timedelta(minutes=5)), Note("first", "Ada", AT)
    payload = payload_of(incident(notes=[later, first]), Options(), {})
    assert payload["notes"] == ["[2026-01-31T12:00:00Z · Ada] first", "[2026-01-31T12:05:00Z · Bob] second"]
    assert payload_of(incident(notes=[later]), Options(import_notes=False), {})["notes"] == []
    assert payload_of(incident(notes=[Note("x")]), Options(), {})["notes"] == ["[PagerDuty] x"]


@pytest.mark.parametrize("blank", ["", "  ", "\t\n", "\u00a0", "\u200b\ufeff", "\u2028 \r\n"])
def test_a_text_of_blanks_only_is_none(blank: str) -> None:
    """No empty note under an author's name, no empty title, no empty detail; the source keeps all."""
    source = incident(title=blank, body=blank, service=blank, number=7, notes=[Note(blank, "Ada", AT)])
    payload = payload_of(source, Options(), {})
    assert payload["notes"] == []
    assert payload["create"]["message"] == "PagerDuty incident #7"
    assert not {"description"} & payload["create"].keys()
    assert "pagerduty_service" not in payload["create"]["details"]
    assert payload["source"]["notes"][0]["content"] == blank


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"merged_into": "Q2"}, "merged into Q2"),
        ({"status": "triggered", "resolved_at": None}, "not resolved (triggered)"),
    ],
)
def test_what_is_not_imported_says_why(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(NotImportable) as refusal:
        payload_of(incident(**fields), Options(), {})
    assert str(refusal.value) == why


def test_an_open_one_is_imported_when_asked_for_and_not_resolved() -> None:
    payload = payload_of(incident(status="acknowledged", resolved_at=None), Options(include_open=True), {})
    assert payload["resolve"] is False
    assert "pagerduty_resolved_at" not in payload["create"]["details"]


def test_an_id_that_is_no_tag_is_refused_by_the_plan() -> None:
    source = SourceIncident("pd", "Q" * 60, AT, title="x", status="resolved", resolved_at=AT)
    with pytest.raises(NotImportable, match="tags"):
        payload_of(source, Options(), {})


def test_details_too_large_are_refused() -> None:
    with pytest.raises(NotImportable, match=f"details have more than {DETAILS}"):
        payload_of(incident(web_url="x" * DETAILS), Options(), {})


@pytest.mark.parametrize(
    ("priority", "urgency", "found"),
    [
        ("P1", "low", "P1"),
        (" p4 ", "high", "P4"),
        ("SEV-2", "low", "P2"),
        ("gone", "high", "P2"),
        (None, "low", "P4"),
        (None, None, None),
    ],
)
def test_priorities(priority: str | None, urgency: str | None, found: str | None) -> None:
    mapping = default_priorities(["SEV-1", "SEV-2", "SEV-3"])
    assert priority_of(priority, urgency, mapping) == found


def test_priorities_of_any_number_are_spread_in_order() -> None:
    assert default_priorities(["P1", "P2"]) == {}
    assert list(default_priorities(list("abcde")).values()) == ["P1", "P2", "P3", "P4", "P5"]
    many = list(default_priorities([f"s{n}" for n in range(9)]).values())
    assert many == sorted(many)
    assert (many[0], many[-1]) == ("P1", "P5")


@pytest.mark.parametrize("loud", ["responders", "notifyStakeholders", "statusPageEntry", "impactedServices"])
def test_what_would_notify_is_a_violation(loud: str) -> None:
    payload = payload_of(incident(), Options(), {})
    payload["create"][loud] = ["x"]
    assert "notify" in violations(payload)[0]


def test_differences_are_named() -> None:
    payload = payload_of(incident(title="a & b"), Options(), {})
    create = payload["create"]
    found = {
        "message": "a &amp; b",
        "priority": "P3",
        "tags": create["tags"],
        "extraProperties": create["details"],
        "status": "closed",
    }
    assert differences(found, payload) == []
    found |= {
        "responders": [{"id": "x"}],
        "status": "open",
        "tags": [],
        "extraProperties": {},
        "message": "c",
    }
    assert len(differences(found, payload)) == 5 + len(create["details"])
