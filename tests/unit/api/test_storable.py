"""What PostgreSQL cannot store, against a reference that decodes the whole document."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsgenie_provider.api.transport import storable

PIECES = [
    "a",
    "u",
    "0000",
    "ud800",
    "udc00",
    "u0000",
    "é",
    "\\\\",
    '\\"',
    "\\n",
    "\\/",
    "\\u0041",
    "\\u0000",
    "\\ud800",
    "\\uDBFF",
    "\\udc00",
    "\\uDFFF",
    "\\ud83d\\ude00",
    "\\uD7FF",
    "\\ue000",
    "\\u000a",
]


def reference(body: bytes) -> str:
    """Python joins pairs and keeps halves; what is left over is what cannot be stored."""
    decoded = json.loads(body)
    assert isinstance(decoded, str)
    return "".join("\ufffd" if c == "\0" or 0xD800 <= ord(c) <= 0xDFFF else c for c in decoded)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@settings(max_examples=500)
@example(r"\\ud800\udc00")
@example(r"\ud800\\udc00")
@example(r"\\\u0000\\u0000")
@example(r"\ud800\ud800\udc00\udc00")
def test_replaces_exactly_what_cannot_be_stored(text: str) -> None:
    body = f'"{text}"'.encode()
    cleaned = storable(body)
    assert msgspec.json.decode(cleaned) == reference(body)
    assert storable(cleaned) == cleaned


@given(st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_leaves_whole_documents_as_they_are(value: object) -> None:
    clean = json.loads(json.dumps(value).replace("\\u0000", ""))
    for ascii_only in (True, False):
        body = json.dumps(clean, ensure_ascii=ascii_only).encode()
        assert json.loads(storable(body)) == clean


@pytest.mark.parametrize("body", [b"", b"{}", b'{"a": "\\n"}', b"<html>\\u</html>", b'"\\u12'])
def test_touches_nothing_else(body: bytes) -> None:
    assert storable(body) == body


def test_names_of_fields_are_cleaned_too() -> None:
    assert json.loads(storable(rb'{"a\u0000b": 1}')) == {"a\ufffdb": 1}
