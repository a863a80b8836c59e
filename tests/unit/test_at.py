"""``tests/at``: a command, and all that it starts, at another instant."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

AT = Path(__file__).resolve().parents[1] / "at"
# As a child of a child, and after the sleep that libfaketime breaks.
CHILD = "import time; time.sleep(0.01); print(time.time(), time.monotonic())"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"


def said(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(
        [str(AT), *arguments], env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    return done.stdout


@pytest.mark.skipif(
    not list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")),
    reason="needs the Debian package faketime",
)
def test_a_process_of_a_process_sees_the_instant() -> None:
    leap_day = "2028-02-29T12:00Z"
    assert leap_day in said().split()
    now, monotonic = map(float, said(leap_day, sys.executable, "-c", PARENT, CHILD).split())
    passed = datetime.fromtimestamp(now, UTC) - datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert timedelta() <= passed < timedelta(minutes=10)
    # Durations are not touched.
    assert monotonic < datetime(2020, 1, 1, tzinfo=UTC).timestamp()
