"""Whether a delivery comes from a sender who knows the secret. All comparisons take constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

# How far a signed time may lie from now, in seconds (Standard Webhooks, "Webhook timestamp").
TOLERANCE = 300
_ENCODED = "whsec_"


class UnusableSecretError(ValueError):
    """The secret is said to be base64, and is not."""


def from_github(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """X-Hub-Signature-256: HMAC-SHA256 over the body (GitHub docs, "Validating webhook deliveries")."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return _same(headers.get("x-hub-signature-256"), expected.encode())


def from_gitlab(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """X-Gitlab-Token is the secret, or the signing token's signature holds (GitLab docs, "Webhooks").

    :raises UnusableSecretError: see :func:`standard`.
    """
    return _same(headers.get("x-gitlab-token"), secret.encode()) or standard(secret, headers, body)


def standard(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """webhook-id, -timestamp and -signature (github.com/standard-webhooks, specification).

    HMAC-SHA256 over ``id.timestamp.body``; the header may hold several signatures. The key is the
    secret itself, or what it encodes where it begins with ``whsec_``.

    :raises UnusableSecretError: it begins with ``whsec_``, and no base64 follows.
    """
    id_, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = _key(secret)
    # More digits than a time has would take long to read.
    if not (id_ and timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{id_}.{timestamp}.".encode("latin-1") + body
    expected = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any(_same(each, expected) for each in headers.get("webhook-signature", "").split(" "))


def _key(secret: str) -> bytes:
    if not secret.startswith(_ENCODED):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise UnusableSecretError("What follows whsec_ in the secret is not base64.")
    return key


def _same(given: str | None, expected: bytes) -> bool:
    # Starlette reads headers as Latin-1.
    return given is not None and hmac.compare_digest(given.encode("latin-1", "replace"), expected)
