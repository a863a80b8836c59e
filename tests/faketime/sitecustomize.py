"""Python as ``tests/at`` runs it: Debian's libfaketime 0.9.10 fails absolute sleeps on the monotonic clock.

It takes the instant to sleep until for one of the clock that it fakes. A wait of ``select`` is relative.
"""

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep
