"""The page and the webhook never break, whatever is asked or sent, and say in few words what is wrong."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from tests.security.deliveries import SECRET, signed
from tests.security.hostile import EXAMPLES, FRAGMENTS, damaged
from tests.security.hostile_page import SHARP, TEXTS, check, encoded
from tests.security.samples import WEBHOOKS

INCIDENT = {
    "source": "opsgenie",
    "account": "opsgenie_default",
    "incident_id": "incident-2",
    "service": "checkout",
}
OVERRIDE = {"deployment": "other", "other_source": "github", "other_id": "1005", "reason": "why"}
FORM = (*INCIDENT, "token", *OVERRIDE)
FORM_KIND = {"Content-Type": "application/x-www-form-urlencoded"}
FILES = ("page.css", "..%2Fapp.py", "%00", "%FF", "page.css%00", "%3Chostile%3E")

filled = pytest.mark.parametrize("page", ["filled"], indirect=True, scope="module")
# The highest status that may come: without tables, what reads one says so with 503.
filled_or_empty = pytest.mark.parametrize(
    ("page", "most"), [("filled", 499), ("empty", 503)], indirect=["page"], scope="module"
)


def parameters(page: TestClient) -> dict[str, list[str]]:
    """Every page, a new one too, with the names of its parameters."""
    return {
        path: [each["name"] for each in operations["get"].get("parameters", ())]
        for path, operations in page.app.openapi()["paths"].items()  # type: ignore[attr-defined]
        if "get" in operations
    }


@filled_or_empty
@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents.csv", "/override", "any"])
@EXAMPLES
@given(data=st.data())
def test_any_query(page: TestClient, most: int, path: str, data: st.DataObject) -> None:
    known = parameters(page)
    if path == "any":
        path = data.draw(st.sampled_from(sorted(known)))
    query = data.draw(encoded(known[path]))
    name = data.draw(st.sampled_from(FILES))
    check(page.get(f"{path.replace('{name}', name)}?{query}"), most)


@filled
def test_every_parameter(page: TestClient) -> None:
    for path, names in parameters(page).items():
        for name, value in product(names, SHARP):
            others = {key: text for key, text in INCIDENT.items() if path == "/override" and key != name}
            check(page.get(f"{path.replace('{name}', 'page.css')}?{name}={value}&{urlencode(others)}"))


@filled
def test_every_page_shows_what_others_wrote(page: TestClient) -> None:
    # The form that maps a service needs one without deployments: tests/web/test_trust.py has it.
    for path in parameters(page).keys() - {"/service-map"}:
        answer = page.get(path.replace("{name}", "page.css"), params=INCIDENT)
        check(answer)
        assert answer.status_code == 200, path
        # Every service of this world meets its deployments, so that none is listed there.
        if answer.headers["content-type"].startswith("text/html") and path != "/services":
            # Such a text is there, and as a text.
            assert "&lt;hostile&gt;" in answer.text, path


@filled
@EXAMPLES
@given(form=encoded(list(FORM)), kind=st.sampled_from([*FORM_KIND.values(), "text/plain", ""]))
def test_any_form(page: TestClient, form: str, kind: str) -> None:
    headers = {"Content-Type": kind}
    answer = page.post("/override", content=form.encode(), headers=headers, follow_redirects=False)
    check(answer)
    # Nobody guesses a token.
    assert answer.status_code in (403, 422)


@filled
@EXAMPLES
@given(body=st.binary(max_size=200) | st.sampled_from([b"--x", b"--x\r\n\r\n--x--", b"--x--\r\n"]))
def test_any_multipart_form(page: TestClient, body: bytes) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    check(page.post("/override", content=body, headers=kind, follow_redirects=False))


@filled
@EXAMPLES
@given(
    deployment=st.sampled_from(["none", "remove", "other", "github 1005", *TEXTS]),
    texts=st.tuples(*[st.sampled_from(TEXTS) | st.text(max_size=20)] * 3),
)
def test_forms_with_a_token(page: TestClient, deployment: str, texts: tuple[str, str, str]) -> None:
    form = page.get("/override", params=INCIDENT)
    # What an earlier one stored is shown as a text, too.
    check(form)
    [token] = re.findall(r'name="token" value="([^"]+)"', form.text)
    fields = dict(zip(("other_source", "other_id", "reason"), texts, strict=True))
    data = urlencode({**INCIDENT, "token": token, "deployment": deployment, **fields}, errors="surrogatepass")
    answer = page.post("/override", content=data.encode(), headers=FORM_KIND, follow_redirects=False)
    check(answer)
    assert answer.status_code in (303, 422)
    if deployment == "none" and all(len(text) <= 1000 for text in texts):
        assert answer.status_code == (303 if texts[2].replace("\0", "").strip() else 422)


@filled
def test_every_field_of_the_form(page: TestClient) -> None:
    form = page.get("/override", params=INCIDENT)
    [token] = re.findall(r'name="token" value="([^"]+)"', form.text)
    for field, value in product(FORM, SHARP):
        good = {
            **INCIDENT,
            "token": token,
            "deployment": "other",
            "other_source": "github",
            "other_id": "1005",
        }
        others = urlencode({name: text for name, text in (good | {"reason": "why"}).items() if name != field})
        body = f"{others}&{field}={value}".encode()
        answer = page.post("/override", content=body, headers=FORM_KIND, follow_redirects=False)
        check(answer)
        assert answer.status_code in ((403, 422) if field in (*INCIDENT, "token") else (303, 422)), field


def refused(answer: httpx.Response) -> dict[str, Any]:
    """What the webhook says to a delivery that it does not take: short, and without the secret."""
    assert 400 <= answer.status_code < 500, answer.text
    assert SECRET not in answer.text
    assert len(answer.text) < 4000, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["message"]
    return error


BODIES = (
    st.binary(max_size=300)
    | st.sampled_from(FRAGMENTS)
    | st.sampled_from(list(WEBHOOKS.values())).map(json.dumps).map(str.encode)
)
KINDS = st.sampled_from(
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "\x7f", ""]
)
PROOFS = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=300)


@filled
@pytest.mark.parametrize("sender", WEBHOOKS)
@EXAMPLES
@given(body=BODIES, kind=KINDS, proof=PROOFS)
def test_deliveries_of_anybody(page: TestClient, sender: str, body: bytes, kind: str, proof: str) -> None:
    names = ("X-Hub-Signature-256", "X-Gitlab-Token", "webhook-id", "webhook-timestamp", "webhook-signature")
    headers = {name: proof.encode("latin-1") for name in names} | {"Content-Type": kind.encode()}
    answer = page.post(f"/webhook/{sender}", content=body, headers=headers)
    assert answer.status_code == 401
    assert refused(answer)["code"] == "not_authentic"


@filled
@pytest.mark.parametrize("sender", WEBHOOKS)
@EXAMPLES
@given(data=st.data(), kind=KINDS)
def test_deliveries_of_who_knows_the_secret(
    page: TestClient, sender: str, data: st.DataObject, kind: str
) -> None:
    deliver_signed(page, sender, data.draw(BODIES | damaged(WEBHOOKS[sender]).map(bytes)), kind)


@filled
@pytest.mark.parametrize("sender", WEBHOOKS)
def test_a_delivery_of_a_thousand_wrong_fields(page: TestClient, sender: str) -> None:
    body = {"object_kind": "deployment"} | {f"unknown {n}": n for n in range(1000)}
    deliver_signed(page, sender, json.dumps(body).encode(), "application/json")


def deliver_signed(page: TestClient, sender: str, body: bytes, kind: str) -> None:
    headers = signed(sender, body, f"sha256={hash(body)}") | {"Content-Type": kind}
    answer = page.post(f"/webhook/{sender}", content=body, headers=headers)
    if answer.status_code == 200:
        assert answer.json()["status"] in ("stored", "unchanged", "duplicate", "ignored"), answer.text
        assert SECRET not in answer.text
    else:
        assert refused(answer)["code"] in ("unreadable", "wrong_fields", "not_storable")
