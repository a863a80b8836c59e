"""How values look on the page, and that what is not known never looks like 0."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opsgenie_provider import display
from opsgenie_provider.web.history import Filters, decode, encode
from opsgenie_provider.web.tiers import DAY, HOUR, WEEK, rate_tier, recovery_tier

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "under 1 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (90061, "1 d 1 h"),
        (-120, "−2 min"),
        (None, "–"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert display.duration(seconds) == said


def test_what_is_not_known_is_not_shown_as_a_number() -> None:
    shown = [
        display.duration(None),
        display.offset(None),
        display.percent(None),
        display.number(None),
        display.moment(None),
    ]
    assert shown == ["–"] * 5
    assert (rate_tier(None, 2023), recovery_tier(None)) == (None, None)


def test_offsets_say_which_came_first() -> None:
    assert display.offset(1800) == "30 min after"
    assert display.offset(-1800) == "30 min before"
    assert display.offset(0) == "at the same instant"


@pytest.mark.parametrize(
    ("rate", "in_2021", "in_2023"),
    [
        (0, "Elite", "Elite"),
        (0.05, "Elite", "Elite"),
        (0.051, "Elite", "High"),
        (0.10, "Elite", "High"),
        (0.15, "Elite", "Medium"),
        (0.16, "High to low", "Low"),
        (0.31, "Low", "Low"),
    ],
)
def test_tiers_of_rates(rate: float, in_2021: str, in_2023: str) -> None:
    assert (rate_tier(rate, 2021), rate_tier(rate, 2023)) == (in_2021, in_2023)


def test_tiers_of_times_to_recover() -> None:
    tiers = [recovery_tier(seconds) for seconds in (HOUR - 1, HOUR, DAY - 1, DAY, WEEK - 1, WEEK)]
    assert tiers == ["Elite", "High", "High", "Medium", "Medium", "Low"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript://x/%0aalert(1)",
        "data:text/html,x",
        "//evil",
        "/x",
        "http://",
        "http://[",
        None,
    ],
)
def test_only_addresses_of_the_web_become_links(url: str | None) -> None:
    assert display.link(url) is None


def test_a_link() -> None:
    assert display.link("https://github.com/acme/shop/pull/1") == "https://github.com/acme/shop/pull/1"


def test_an_escalation_step_reads_as_a_sentence() -> None:
    rule = {
        "delay_seconds": 300,
        "condition": "if-not-acked",
        "notify_type": "next",
        "recipient_type": "schedule",
        "recipient_name": "Checkout",
    }
    assert display.step(rule) == (
        "After 5 min, if nobody has acknowledged, notify the next user in the rotation of schedule Checkout"
    )
    unknown = dict.fromkeys(rule) | {"condition": "if-it-rains", "recipient_name": "Ada"}
    assert display.step(unknown) == "At once, if-it-rains, notify Ada"


@given(
    at=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    keys=st.lists(TEXTS, min_size=4, max_size=4),
)
def test_a_place_in_the_history_comes_back_from_its_address(at: datetime, keys: list[str]) -> None:
    names = ("incident_id", "account", "source", "service")
    row = {"opened_at": at, **dict(zip(names, keys, strict=True))}
    assert decode(encode(row)) == (at, *keys)


@given(st.text(max_size=200))
def test_no_other_text_is_a_place(text: str) -> None:
    with pytest.raises(ValidationError, match="first page"):
        Filters(older="!" + text)
