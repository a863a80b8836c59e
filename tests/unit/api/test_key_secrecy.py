"""A canary key: wherever an error is shown, logged or sent, it must not be there."""

from __future__ import annotations

import logging
import pickle
import traceback
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock as rm

from opsgenie_provider.api.errors import ApiError, ApiStatusError
from opsgenie_provider.api.jsm import JsmClient
from opsgenie_provider.api.opsgenie import OpsgenieClient
from opsgenie_provider.api.pagerduty import PagerdutyClient
from opsgenie_provider.api.transport import HeaderAuth
from opsgenie_provider.rows.jsm_site import SiteSettings

KEY = "c4nary-0000-4111-8222-333344445555"
BASE = "https://api.opsgenie.com"
ECHO = {
    "message": f"Key [{KEY}] is not valid",
    "errors": {"apiKey": f"{KEY} is disabled"},
    "error": {"message": f"{KEY} is bad", "errors": [f"{KEY}!"]},
}


def leaking(request: requests.PreparedRequest, _: Any) -> Any:
    """The worst that a library could say."""
    raise requests.ConnectionError(
        f"Max retries exceeded with url: {request.url} {request.headers}", request=request
    )


FAILURES: list[dict[str, Any]] = [
    *({"status_code": status, "json": ECHO} for status in (302, 400, 401, 402, 403, 404, 422, 500, 501)),
    {"status_code": 429, "json": ECHO, "headers": {"X-RateLimit-Period-In-Sec": "60"}},
    {"text": leaking},
    {"text": f"<html>{KEY}</html>"},
    {"text": '{"data": '},
]


CALLS: dict[str, Callable[[], Any]] = {
    "opsgenie": lambda: OpsgenieClient(requests.Session(), BASE, KEY).incidents(query="status: open"),
    "jsm": lambda: JsmClient(
        requests.Session(),
        "https://api.atlassian.com",
        cloud_id="cloud-1",
        email="ann@example.com",
        token=KEY,
        settings=SiteSettings("https://acme.atlassian.net"),
    ).operations.teams(),
    "pagerduty": lambda: PagerdutyClient(requests.Session(), "https://api.pagerduty.com", KEY).abilities(),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("service", CALLS)
def test_no_error_shows_the_key(
    clock: Any, requests_mock: rm.Mocker, caplog: pytest.LogCaptureFixture, failure: Any, service: str
) -> None:
    caplog.set_level(logging.DEBUG)
    requests_mock.get(rm.ANY, **failure)
    with pytest.raises(ApiError) as caught:
        CALLS[service]()
    logging.getLogger("test").error("failed", exc_info=caught.value)
    error = caught.value
    shown = [
        str(error),
        repr(error),
        repr(vars(error)),
        "".join(traceback.format_exception(error)),
        pickle.dumps(error).decode("latin-1"),
        caplog.text,
    ]
    assert all(KEY not in each for each in shown)
    sent = requests_mock.last_request.headers["Authorization"]
    assert KEY in sent or KEY.encode() in b64decode(sent.removeprefix("Basic "))


def test_what_the_service_says_around_the_key_is_kept(clock: Any, requests_mock: rm.Mocker) -> None:
    requests_mock.get(rm.ANY, status_code=422, json=ECHO)
    with pytest.raises(ApiStatusError) as caught:
        OpsgenieClient(requests.Session(), BASE, KEY).account()
    assert caught.value.message == "Key [***] is not valid"
    assert caught.value.fields == {"apiKey": "*** is disabled"}


def test_retries_are_logged_without_query_or_key(
    clock: Any, requests_mock: rm.Mocker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    requests_mock.get(rm.ANY, [{"status_code": 500, "json": ECHO}, {"json": {"data": []}}])
    OpsgenieClient(requests.Session(), BASE, KEY).incidents(query="message: private")
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "Attempt 1 failed: OpsGenie answered 500 to GET /v1/incidents" in record.getMessage()
    assert "private" not in record.getMessage()
    assert KEY not in caplog.text


@pytest.mark.parametrize("key", [f"{KEY}\n", f"  {KEY}", f"\t{KEY}\r\n"])
def test_blanks_around_a_pasted_key_do_not_matter(clock: Any, requests_mock: rm.Mocker, key: str) -> None:
    requests_mock.get(rm.ANY, json={"data": {}})
    OpsgenieClient(requests.Session(), BASE, key).account()
    assert requests_mock.last_request.headers["Authorization"] == f"GenieKey {KEY}"


@pytest.mark.parametrize(
    "key", ["", " ", f"{KEY}\nX-Evil: 1", f"{KEY}\x00", f"{KEY}é", f"…{KEY}", f"GenieKey {KEY}"]
)
def test_a_key_that_no_header_can_hold_is_refused_unseen(key: str) -> None:
    with pytest.raises(ValueError, match="copy it again into the password") as caught:
        HeaderAuth("GenieKey ", key)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_netrc_does_not_override_the_key(
    clock: Any, requests_mock: rm.Mocker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.opsgenie.com login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    requests_mock.get(rm.ANY, json={"data": {}})
    # What would happen without: or else this test could not fail.
    requests.get(f"{BASE}/v2/account", timeout=1)
    assert requests_mock.last_request.headers["Authorization"].startswith("Basic ")
    OpsgenieClient(requests.Session(), BASE, KEY).account()
    assert requests_mock.last_request.headers["Authorization"] == f"GenieKey {KEY}"


def test_the_key_is_in_no_repr(clock: Any) -> None:
    client = OpsgenieClient(requests.Session(), BASE, KEY)
    assert KEY not in repr((client, client.transport, HeaderAuth("GenieKey ", KEY)))
