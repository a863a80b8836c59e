"""Who may send: only who knows the secret, and signed what arrived."""

from __future__ import annotations

import base64
import time

import pytest
from starlette.datastructures import Headers

from opsgenie_provider.web import signatures
from tests.support.webhook_senders import signed

SECRET = "a secret that nobody guesses"
BODY = b'{"a": 1}'


def headers(sender: str, secret: str = SECRET) -> dict[str, str]:
    return signed(sender, BODY, "d-1", "deployment_status", secret)


def test_github_signs_the_body() -> None:
    # The example of GitHub's own page.
    given = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    assert signatures.from_github("It's a Secret to Everybody", given, b"Hello, World!")
    assert not signatures.from_github("It's a Secret to Everybody", given, b"Hello, World")
    assert not signatures.from_github("another", given, b"Hello, World!")


@pytest.mark.parametrize("value", [None, "", "sha256=", "sha1=757107ea", "sha256=ä", "\xff"])
def test_github_without_a_fitting_signature(value: str | None) -> None:
    assert not signatures.from_github(SECRET, {} if value is None else {"x-hub-signature-256": value}, BODY)


def test_gitlab_sends_the_token_or_signs() -> None:
    assert signatures.from_gitlab(SECRET, Headers(headers("gitlab")), BODY)
    assert signatures.from_gitlab(SECRET, Headers(headers("generic")), BODY)
    assert not signatures.from_gitlab(SECRET, Headers(headers("gitlab", "other")), BODY)
    assert not signatures.from_gitlab(SECRET, {}, BODY)


def test_a_token_may_have_any_letters() -> None:
    given = Headers(raw=[(b"x-gitlab-token", "schlüssel".encode())])
    assert signatures.from_gitlab("schlüssel", given, BODY)


def test_the_reference_example_of_standard_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    given = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= "
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2,else",
    }
    body = b'{"test": 2432232314}'
    assert not signatures.standard(secret, given, body)
    monkeypatch.setattr(time, "time", lambda: 1614265330 + signatures.TOLERANCE)
    assert signatures.standard(secret, given, body)
    monkeypatch.setattr(time, "time", lambda: 1614265330 - signatures.TOLERANCE - 1)
    assert not signatures.standard(secret, given, body)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", ["", "x", "²", "9" * 5000, "v1,", "v1"])
def test_a_standard_header_that_was_tampered_with(name: str, value: str) -> None:
    assert not signatures.standard(SECRET, Headers(headers("generic") | {name: value}), BODY)


def test_a_key_in_base64() -> None:
    key = bytes(range(32))
    secret = "whsec_" + base64.b64encode(key).decode()
    assert signatures.standard(secret, Headers(headers("generic", key.decode())), BODY)
    assert not signatures.standard(secret, Headers(headers("generic", secret)), BODY)
    # GitHub takes any secret at its word.
    assert signatures.from_github(secret, Headers(headers("github", secret)), BODY)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64", "whsec_ä"])
def test_a_key_that_is_none(secret: str) -> None:
    with pytest.raises(signatures.UnusableSecretError):
        signatures.standard(secret, Headers(headers("generic", "")), BODY)
