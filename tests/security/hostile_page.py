"""What a browser would make of the page's answers, and texts that want to be more than text."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import quote

import httpx
from hypothesis import strategies as st

from opsgenie_provider.warehouse.connection import Warehouse
from tests.support.page_world import fill, follow

# Wherever one of them is not escaped, there is an element or an attribute called hostile.
BREAKOUTS = (
    "<hostile>",
    '"><hostile>',
    "'><hostile>",
    '" hostile="',
    "' hostile='",
    "</script></title></textarea></style><hostile>",
    "--><hostile>",
    "javascript:hostile()",
)
TEXTS = (
    *BREAKOUTS, "", " ", "\0", "a\0b", "'; drop table dora.incidents; --", "' or 1=1 --", "%(service)s", "%s",
    "{}", "{{ 7 * 7 }}", "checkout", "CHECKOUT", "../../etc/passwd", "..\\..", "x" * 20_000,
    "\U0001f469\u200d\U0001f692", "\u202e\ufeff", "0", "-1", "14", "1e999", "9" * 400, "\u0661\u0664", "nan",
    "true", "null", "[]", "2026-02-30", "2026-03-02", "2026-03-02T00:00:00Z", "0000-00-00", "0001-01-01",
    "9999-12-31", "infinity", "now", "day", "week", "P1", "open", "matched", "none", "remove", "other",
    "github 1005", "github ",
    # Of the paging: nonsense, [], null, numbers, a place at either end of time, with half a pair, with a NUL.
    "AAAA", "W10=", "bnVsbA==", "WzEsMiwzLDQsNV0=", "A" * 3999,
    "WyIwMDAyLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwiIiwiIiwiIiwiIl0=",
    "Wyk5OTk5LTEyLTMxVDIzOjU5OjU5LTE0OjAwIiwiIiwiIiwiIiwiIl0=",
    "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIlx1ZDgwMCIsIiIsIiIsIiJd",
    "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIlx1MDAwMCIsIiIsIiIsIiJd",
)  # fmt: skip
# What an address or a form may hold: not UTF-8, halves of pairs, escapes that end too soon.
_ENCODED = ("%FF%FE", "%ED%A0%80", "%C0%80", "%", "%0", "%zz", "%00", "%u0041", "+", "a=b", ";", "%26%3D")
# One of each kind, for every parameter there is.
SHARP = (
    *map(quote, ("a\0b", "".join(BREAKOUTS), "'; drop table dora.incidents; --", "%s", *TEXTS[-4:])),
    *("%FF%FE", "%ED%A0%80", "9" * 400, "9999-12-31", "0001-01-01"),
)
# What others write and the page shows.
SHOWN = {
    "staging.opsgenie_incidents": ("message", "web_url"),
    "staging.opsgenie_teams": ("name",),
    "staging.deployments": ("pr_title", "pr_url", "url", "repository", "commit_sha"),
    "staging.opsgenie_schedules": ("name",),
    "staging.opsgenie_rotations": ("name",),
    "staging.opsgenie_on_call_periods": ("recipient_name",),
    "staging.opsgenie_escalations": ("name",),
    "staging.opsgenie_escalation_rules": ("condition", "notify_type", "recipient_type", "recipient_name"),
    "staging.rejected_payloads": ("reason", "stream"),
    "migration.ledger": ("reason",),
}


class _Hostile(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if "hostile" in tag:
            self.found.append(tag)
        for name, value in attrs:
            script = name in ("href", "src", "action") and (value or "").strip().startswith("javascript:")
            if "hostile" in name or script:
                self.found.append(f"{tag} {name}={value}")


def check(answer: httpx.Response, most: int = 499) -> None:
    """Whatever was asked: an answer of a page, short where it is none, and nobody's text is markup.

    :param most: the highest status that may come.
    """
    assert answer.status_code <= most, answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    if answer.status_code >= 400 and "<form" not in answer.text:
        # What was sent is not repeated at length; only a form shows again what was typed.
        assert len(answer.text) < 4000, answer.text
    if answer.headers.get("content-type", "").startswith("text/html"):
        page = _Hostile()
        page.feed(answer.text)
        assert page.found == []


def encoded(names: list[str]) -> st.SearchStrategy[str]:
    """A query or form: some of its parameters, some of them twice, some unknown, with anything in them."""
    text = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    value = (
        text.map(lambda given: quote(given, safe=""))
        | st.sampled_from(_ENCODED)
        | st.binary(max_size=8).map(lambda given: "".join(f"%{byte:02X}" for byte in given))
    )
    name = st.sampled_from([*names, *names, "unknown", "service[]", "%00", ""])
    pair = st.tuples(name, value).map("=".join) | name
    return st.lists(pair, max_size=6).map("&".join)


def fill_with_hostility(warehouse: Warehouse) -> None:
    """A small company all of whose texts want to be more than text."""
    fill(warehouse)
    texts = "".join(BREAKOUTS[:-1])
    with warehouse.connection() as connection:
        for table, columns in SHOWN.items():
            values = ["javascript:hostile()" if "url" in column else texts for column in columns]
            assignments = ", ".join(f"{column} = %s" for column in columns)
            connection.execute(f"update {table} set {assignments}", values)
        # The other service stays as it is: its incidents are asked for by name.
        connection.execute("update staging.opsgenie_services set name = %s where name = 'search'", (texts,))
        connection.execute("update staging.deployments set service = %s where service = 'search'", (texts,))
    follow(warehouse)
