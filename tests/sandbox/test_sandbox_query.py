"""The search syntax (support.atlassian.com/opsgenie/docs/search-syntax-for-incidents)."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.instants import MINUTE, MS, Clock, to_nanos
from sandbox.opsgenie.matching import matcher
from sandbox.opsgenie.query import (
    DATES,
    FIELDS,
    And,
    Node,
    Not,
    Or,
    QueryError,
    Term,
    created_window,
    parse,
    render,
)
from sandbox.opsgenie.store import Store
from tests.sandbox.sandbox_client import NOW, Api

TEXT_VALUES = st.text(string.ascii_letters + string.digits + ' :()<>"\\-ü🔥', min_size=1, max_size=12)
TERMS = st.one_of(
    st.builds(Term, st.sampled_from(sorted(FIELDS - DATES)), st.just(":"), TEXT_VALUES),
    st.builds(
        Term,
        st.just("createdAt"),
        st.sampled_from([":", "<", "<=", ">", ">="]),
        st.integers(0, 10**13).map(str),
    ),
)


def _branches(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(children, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, children), st.builds(And, several), st.builds(Or, several))


NODES = st.recursive(TERMS, _branches, max_leaves=8)


@given(NODES)
def test_a_query_survives_being_written_and_read(node: Node) -> None:
    assert parse(render(node)) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("status:open", Term("status", ":", "open")),
        ("createdAt<1470394841148", Term("createdAt", "<", "1470394841148")),
        ("createdAt  >=  1470394841148", Term("createdAt", ">=", "1470394841148")),
        ("message : Api is down", Term("message", ":", "Api is down")),
        ("tag: pd:P123", Term("tag", ":", "pd:P123")),
        (
            "message: (lorem OR ipsum)",
            Or((Term("message", ":", "lorem"), Term("message", ":", "ipsum"))),
        ),
        (
            "status:open OR status:closed AND priority:P1",
            Or(
                (
                    Term("status", ":", "open"),
                    And((Term("status", ":", "closed"), Term("priority", ":", "P1"))),
                )
            ),
        ),
        ('NOT details.key: "a \\"b\\""', Not(Term("details.key", ":", 'a "b"'))),
    ],
)
def test_the_documented_forms_are_understood(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    "text",
    [
        "updatedAt >= 1470394841148",  # not searchable (PostHog PR 71178)
        "colour: red",
        "status",
        "status:",
        "status:open AND",
        "(status:open",
        "status:open)",
        "status:open priority:P1",
        "priority > P3",
        "createdAt >= yesterday",
        "AND status:open",
    ],
)
def test_a_query_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


def test_a_refused_query_is_a_422_with_a_message(api: Api) -> None:
    response = api.get("/v1/incidents", query="updatedAt >= 1")
    assert response.status_code == 422
    assert response.json()["message"] == "Field [updatedAt] is not searchable"


def test_a_bad_date_is_refused_in_the_service_s_words(api: Api) -> None:
    """jira.atlassian.com/browse/OPSGENIE-1588"""
    body = api.get("/v1/incidents", query="createdAt >= soon").json()
    assert body["message"].startswith("Time is accepted in following formats: [dd-MM-yyyy]")


def test_created_at_is_in_milliseconds_and_takes_dates_too(store: Store) -> None:
    made = store.incidents.add("one", NOW)
    at = to_nanos(NOW) // MS
    assert store.incidents.select(f"createdAt : {at}") == [made]
    assert store.incidents.select(f"createdAt > {at}") == []
    assert store.incidents.select('createdAt >= "12-06-2024T12:00:00Z"') == [made]
    assert store.incidents.select('createdAt >= "13-06-2024"') == []


def test_services_are_found_by_name_and_by_id(store: Store) -> None:
    ledger = next(service for service in store.services.values() if service.name == "ledger")
    made = store.incidents.add("one", services=[ledger.id])
    assert store.incidents.select(f"impactedServices:{ledger.id}") == [made]
    assert store.incidents.select("services: ledger") == [made]
    assert store.incidents.select("services: checkout") == []


def _populated() -> Store:
    made = Store(clock=Clock(NOW))
    rng = random.Random(1)
    for number in range(60):
        incident = made.incidents.add(
            rng.choice(["Disk full", "Api is down", "🔥 fire"]),
            to_nanos(NOW) - rng.randrange(5_000) * MINUTE,
            tags=rng.sample(["a", "b", "pd:P1"], 2),
            details={"k": str(number % 3)},
            priority=f"P{number % 5 + 1}",
        )
        if number % 3:
            made.incidents.resolve(incident.id)
    return made


POPULATED = _populated()
LIKELY = st.one_of(
    st.sampled_from(
        [
            Term("status", ":", "open"),
            Term("priority", ":", "p1"),
            Term("tag", ":", "pd:P1"),
            Term("message", ":", "api"),
            Term("details.value", ":", "2"),
        ]
    ),
    st.builds(
        Term,
        st.just("createdAt"),
        st.sampled_from([":", "<", "<=", ">", ">="]),
        st.sampled_from([str(incident.created_ms) for incident in POPULATED.incidents.all()]),
    ),
)


@given(st.recursive(LIKELY, _branches, max_leaves=6))
def test_the_index_finds_exactly_what_a_full_scan_finds(node: Node) -> None:
    test: Callable[..., bool] = matcher(node, POPULATED._names())
    expected = [incident for incident in POPULATED.incidents.all() if test(incident)]
    assert POPULATED.incidents.select(render(node), descending=False) == expected


def test_a_window_comes_from_the_parts_that_must_hold() -> None:
    node = parse("createdAt >= 5 AND (createdAt < 9 AND createdAt <= 100) AND (createdAt > 7 OR status:open)")
    assert node is not None
    assert created_window(node) == (5, 8)
    assert created_window(parse("createdAt >= 5 OR status:open") or node) == (None, None)
