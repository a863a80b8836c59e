"""JSON into types, from many threads at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from opsgenie_provider.api.decoding import decode_into

TYPES, THREADS = 150, 8
BODY = b'{"data": {"entries": [1], "nextOffset": "3"}, "took": 1.5, "requestId": "x", "other": [1, 2]}'


def test_a_wrong_type_is_reported() -> None:
    assert decode_into(b"[1]", list[int]) == [1]
    with pytest.raises(msgspec.ValidationError):
        decode_into(b'["a"]', list[int])


def test_first_uses_of_types_from_many_threads() -> None:
    """In a process of its own: at its worst this is a loop that holds the GIL, or a segmentation fault."""
    done = subprocess.run(
        [sys.executable, __file__, str(Path(decode_into.__code__.co_filename).parents[2])],
        timeout=600,
        # libfaketime (tests/at) makes that many turns too slow to end.
        env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def _decode_all() -> None:
    # Threads take turns as often as they can.
    sys.setswitchinterval(1e-6)
    for _ in range(TYPES):
        page = msgspec.defstruct("Page", [("entries", "list[int]"), ("nextOffset", "str")])
        envelope = msgspec.defstruct(
            "Envelope", [("data", page), ("took", "float", 0.0), ("requestId", "str", "")]
        )
        together = threading.Barrier(THREADS)

        def decode(envelope: type = envelope, together: threading.Barrier = together) -> None:
            together.wait()
            assert decode_into(BODY, envelope).data.nextOffset == "3"

        threads = [threading.Thread(target=decode, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    _decode_all()
