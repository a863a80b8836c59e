"""Decodes JSON into types, safely from any thread."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_creating_decoder = threading.Lock()


def decode_into(body: bytes | bytearray | memoryview | str | msgspec.Raw, into: type[T]) -> T:
    """Like ``msgspec.json.decode(body, type=into)``, but safe when several threads first use a type.

    msgspec 0.22 inspects a Struct when it is first decoded, and other threads can see the unfinished
    result: one of them may then loop forever, holding the GIL. Here the decoder is created under a
    lock before anything is decoded into the type.

    :raises msgspec.DecodeError: the body is not JSON, or not of the type.
    """
    decoder = _decoders.get(into)
    if decoder is None:
        with _creating_decoder:
            decoder = _decoders[into] = _decoders.get(into) or msgspec.json.Decoder(into)
    decoded: T = decoder.decode(body)
    return decoded
