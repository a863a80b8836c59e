"""Payloads as nobody should send them: what a service answers, with anything at all in some of its places."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec import Raw

from opsgenie_provider.api.transport import storable

# For a test that shares a database or an app among its examples.
EXAMPLES = settings(
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_MARK = "\u2603{}\u2603"
# Text that does not get shorter by compression: an index of PostgreSQL holds some 2,700 bytes of it.
NOISE = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
TEXTS = (
    "", " ", "0", "none", "minutes", "a\tb\nc\\N", "\\.", "'; drop table staging.deployments; --", "%s {}",
    "x" * 100_000, NOISE, "\u202eabc", "\U0001f469\u200d\U0001f692", "2026-02-30T00:00:00Z", "2026-03-02",
    "20260302T101112Z", "2026-W10-1", "24:00", "infinity", "now", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999999-14:00", "2026-03-02T15:37:31.123456789+05:30",
    "2026-03-02T15:37:31+23:59:59",
)  # fmt: skip
# JSON written by hand, which Python's own encoder would not write.
FRAGMENTS = (
    *(json.dumps(text).encode() for text in TEXTS),
    b"null", b"true", b"false", b"[]", b"{}", b"-1", b"0", b"-0.0", b"1.5", b"1e5", b"2147483648",
    b"9223372036854775808", b"-9223372036854775809", b"1e308", b"1e309", b"1e-400", b"1e-20000",
    b"1e99999999999", b"9" * 400, b"9" * 5000, b"0." + b"1" * 20_000, b'"\\u0000"', b'"a\\u0000b"',
    b'"\\ud83d"', b'"\\ude00\\ud83d"', b'"\\\\u0000"', b'"\\\\\\u0000"', b'{"\\u0000": 1}',
    b'{"a": 1, "a": {"id": null}}', b'"\xff\xfe"', b"NaN",
    b"[" * 500 + b"]" * 500, b"[" * 5000 + b"]" * 5000, b'{"a":' * 800 + b"1" + b"}" * 800,
    b'[{"id": []}]', b'[null, {"id": "x"}]', b'["a", "a", 1]', b'{"id": "x", "type": "user", "name": 7}',
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything within a JSON value, itself the first."""
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in children:
        yield from places(child, (*path, name))


def changed(payload: Any, changes: dict[tuple[Any, ...], bytes | None]) -> bytes:
    """The payload with a fragment at each path; None drops what is there."""
    result = copy.deepcopy(payload)
    # The inner ones first: an outer one may take their place away.
    for number, (path, fragment) in enumerate(sorted(changes.items(), key=lambda item: -len(item[0]))):
        mark = _MARK.format(number)
        if not path:
            result = {"whole": mark} if fragment is None else mark
            continue
        parent = result
        for name in path[:-1]:
            parent = parent[name]
        if fragment is None and isinstance(parent, dict):
            del parent[path[-1]]
        else:
            parent[path[-1]] = mark
    body = json.dumps(result).encode()
    for number, (_, fragment) in enumerate(sorted(changes.items(), key=lambda item: -len(item[0]))):
        body = body.replace(json.dumps(_MARK.format(number)).encode(), fragment or b"null")
    return body


@st.composite
def damaged(draw: st.DrawFn, payload: Any) -> Raw:
    """A valid payload with one to three of its places dropped or replaced, as the client hands it on."""
    paths = st.lists(st.sampled_from(list(places(payload))), min_size=1, max_size=3, unique=True)
    fragment = (
        st.none() | st.sampled_from(FRAGMENTS) | _anything().map(lambda value: json.dumps(value).encode())
    )
    return Raw(storable(changed(payload, {path: draw(fragment) for path in draw(paths)})))


def _anything() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
