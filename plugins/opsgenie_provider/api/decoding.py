"""JSON into types, from any thread."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def decode_into(body: bytes | bytearray | memoryview | str | msgspec.Raw, into: type[T]) -> T:
    """As ``msgspec.json.decode(body, type=into)``, whose first use of a type is for one thread only.

    msgspec 0.22 reads a Struct's annotations when it first decodes one, and shows what it has so far
    to other threads: one of them may then look for a field for ever, without ever giving up the GIL.
    Here a type is read as a whole, under a lock, before anything is decoded into it.

    :raises msgspec.DecodeError: the body is not JSON, or not of the type.
    """
    decoder = _decoders.get(into)
    if decoder is None:
        with _making:
            decoder = _decoders[into] = _decoders.get(into) or msgspec.json.Decoder(into)
    decoded: T = decoder.decode(body)
    return decoded
