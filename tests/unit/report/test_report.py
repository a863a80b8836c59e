"""What the report and the page say about the matches, in words and pictures."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from opsgenie_provider.report import charts
from opsgenie_provider.report.matches import Matches, caused_rate, caused_rate_in_words, sentence
from opsgenie_provider.report.numbers import Numbers
from opsgenie_provider.report.period import Period, report_period
from opsgenie_provider.report.render import html, summary

HOSTILE = "</title><script>alert(1)</script>"
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
# As dora.caused_share has it.
NINE_OF_TWELVE = Matches(9, 3, 0.5, 0.0252, 0.7903)


@pytest.mark.parametrize(
    ("matches", "counts", "worth"),
    [
        (
            NINE_OF_TWELVE,
            "9 of 12 matched incidents opened after their",
            "about half of them look caused (3 % to 79 %).",
        ),
        (Matches(7, 2, 0.56, 0.0, 0.8), "7 of 9", "too few to estimate how many look caused."),
        (Matches(10, 10, 0.0, 0.0, 0.35), "10 of 20", "no more than chance would bring (0 % to 35 %)."),
        (
            Matches(1, 0, 1.0, 0.2, 1.0),
            "1 of 1 matched incident opened after its",
            "too few to estimate how many look caused.",
        ),
        (Matches(40, 0, 1.0, 0.9, 1.0), "40 of 40", "nearly all of them look caused (90 % to 100 %)."),
        (Matches(40, 0), "40 of 40", "can be estimated only with equal windows before and after."),
        (Matches(2, 30, 0.0, 0.0, 0.0), "2 of 32", "before_only leaves them out."),
        (Matches(), "No incident", "matches a deployment."),
    ],
)
def test_the_sentence(matches: Matches, counts: str, worth: str) -> None:
    said = sentence(matches)
    assert said.startswith(counts)
    assert said.endswith(worth)
    assert not matches.total or f"deployment, {matches.preceding} before it: " in said


def test_the_rate_of_caused_matches_alone() -> None:
    row = {"deployments": 100, "change_failures": 12}
    # What people have decided counts; of the rest, as much as looks caused.
    found = caused_rate(row, 2, NINE_OF_TWELVE)
    assert found is not None
    assert found == pytest.approx((0.07, 0.02252, 0.09903))
    words = caused_rate_in_words(row, 2, NINE_OF_TWELVE)
    assert words == "Without coincidental matches: about 7.0 % (90 % interval 2.3 % to 9.9 %)"
    assert caused_rate(row, 12, Matches()) == (0.12, 0.12, 0.12)
    assert caused_rate_in_words(row, 0, Matches(3, 1, 0.5, 0.0, 0.8)).startswith("Too few matches (4)")
    assert caused_rate(row | {"deployments": 0}, 0, NINE_OF_TWELVE) is None
    assert caused_rate_in_words(row | {"change_failures": 0}, 0, NINE_OF_TWELVE) == ""


@pytest.mark.parametrize(
    ("now", "asked", "since", "until"),
    [
        (MONDAY, {}, MONDAY - timedelta(days=7), MONDAY),
        (MONDAY - timedelta(seconds=1), {}, MONDAY - timedelta(days=14), MONDAY - timedelta(days=7)),
        (MONDAY, {"since": MONDAY - timedelta(days=3)}, MONDAY - timedelta(days=3), MONDAY),
        (MONDAY, {"until": MONDAY + timedelta(1)}, MONDAY - timedelta(days=6), MONDAY + timedelta(days=1)),
    ],
)  # fmt: skip
def test_the_period(now: datetime, asked: dict[str, datetime], since: datetime, until: datetime) -> None:
    assert report_period(now, **asked) == (since, until)


def test_a_period_without_time_in_it_is_refused() -> None:
    with pytest.raises(ValueError, match="Swap them or leave one out"):
        report_period(MONDAY, MONDAY, MONDAY)
    with pytest.raises(ValueError, match="before the year 1"):
        report_period(MONDAY, datetime(1, 1, 1, tzinfo=UTC), MONDAY)


def test_a_period_is_named_by_its_first_and_last_day() -> None:
    period = report_period(MONDAY)
    assert period.title == "2026-11-16 to 2026-11-22"
    assert period.file_name == "dora_report_2026-11-16_2026-11-22.html"
    assert Period(MONDAY, MONDAY + timedelta(hours=1)).file_name == (
        "dora_report_2026-11-23T000000_2026-11-23T010000.html"
    )


def row(**more: Any) -> dict[str, Any]:
    return {
        "deployments": 10, "change_failures": 3, "change_failure_rate": 0.3, "decided": 1, "incidents": 4,
        "open_incidents": 1, "recovered_incidents": 3, "mttr_mean_seconds": 3600.0,
        "mttr_median_seconds": 3000.0, "mttr_all_mean_seconds": None, **more,
    }  # fmt: skip


def numbers(**more: Any) -> Numbers:
    incident = {
        "opened_at": MONDAY, "service": HOSTILE, "match_status": "matched", "deployment_id": HOSTILE,
        "offset_seconds": 60.0, "title": HOSTILE, "incident_id": "i", "priority": None, "status": "open",
        "seconds_to_recover": None, "web_url": "javascript:alert(1)", "pr_number": 7, "pr_title": HOSTILE,
        "pr_url": "https://example.org/7",
    }  # fmt: skip
    given: dict[str, Any] = {
        "period": report_period(MONDAY),
        "now": MONDAY,
        "total": row(),
        "before": row(change_failure_rate=None, deployments=0, change_failures=0),
        "services": [row(service=HOSTILE)],
        "trend": [
            row(period_start=date(2026, 11, 9)),
            row(period_start=date(2026, 11, 16), change_failure_rate=None),
        ],
        "incidents": [incident],
        "matches": {"": NINE_OF_TWELVE, HOSTILE: NINE_OF_TWELVE},
        "offsets": {"": {-8: 3, 0: 9}, HOSTILE: {-8: 3, 0: 9}},
        "rule": {"hours_before": 4.0, "hours_after": 4.0, "is_symmetric": True},
    }  # fmt: skip
    return Numbers(**given | more)


def test_the_report_is_one_file_that_needs_nothing_else() -> None:
    page = html(numbers())
    assert "<script" not in page
    assert not re.findall(r"""(?:src|srcset|@import|url\()\s*=?["'(]?\s*(?:https?:)?//""", page)
    assert re.findall(r'href="([^"]+)"', page) == ["data:,", "https://example.org/7"]
    assert "javascript:" not in page
    assert page.count("<svg") == 4
    # What the sentence and the card say.
    assert sentence(NINE_OF_TWELVE) in page
    assert "Without coincidental matches: about" in page
    assert "to judge anyone by" in page


def test_the_report_of_nothing_says_so() -> None:
    empty = row(
        deployments=0, change_failures=0, change_failure_rate=None, incidents=0, mttr_mean_seconds=None
    )
    page = html(
        numbers(total=empty, services=[], trend=[], incidents=[], matches={}, offsets={"": {}}, rule=None)
    )
    for words in ("unknown", "No service had", "No incident opened", "No incident matches a deployment."):
        assert words in page


def test_the_summary_has_the_figures_and_what_they_are_worth() -> None:
    text = summary(numbers())
    assert "2026-11-16 to 2026-11-22" in text
    assert "30.0 % (3 of 10 deployments); the period before: –." in text
    assert sentence(NINE_OF_TWELVE) in text


def test_a_histogram_is_a_picture_with_words() -> None:
    svg = ElementTree.fromstring(str(charts.histogram({-8: 1, -1: 2, 0: 9, 7: 3}, 4.0, "a<b")))
    assert svg.get("aria-label") == (
        "a<b: 12 matched incidents opened after their deployment, 3 before it, within 4 hours"
    )
    bars = {float(bar.get("x") or 0): bar.get("class") for bar in svg.iter("rect")}
    assert [kind for _, kind in sorted(bars.items())] == ["preceding", "preceding", "following", "following"]
