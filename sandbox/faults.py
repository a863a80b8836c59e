"""Injected faults: scripted or random, and repeatable from a seed."""

from __future__ import annotations

import random
import re
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Fault = Literal["408", "429", "500", "503", "drop", "cut_json", "cut_body", "html", "hang"]
FAULTS: tuple[str, ...] = get_args(Fault)

HTML_PAGE = (
    b"<!DOCTYPE html><html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>"
)


def _known(name: str) -> str:
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}: one of {', '.join(FAULTS)}")
    return name


@dataclass
class Faults:
    """Chooses a fault, or none, for each request.

    `script` is used first, one entry per matching request (None: no fault); after that, each fault
    occurs with its probability. `path` limits both to matching paths (a regular expression, searched).

    - 408, 429, 500, 503: the service's own error body, without reaching the service
    - drop: the connection is reset without a response
    - cut_json: a complete HTTP response with half of its JSON
    - cut_body: fewer bytes than Content-Length says, then the connection closes
    - html: a 503 page from a proxy in front of the service
    - hang: no answer for `hang_seconds`, then the connection is reset
    """

    latency_ms: float = 0
    hang_seconds: float = 30
    path: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    script: deque[str | None] = field(default_factory=deque)
    _random: random.Random = field(default_factory=lambda: random.Random(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def configure(
        self,
        *,
        latency_ms: float | None = None,
        hang_seconds: float | None = None,
        path: str | None = None,
        probabilities: Mapping[str, float] | None = None,
        script: Sequence[str | None] | None = None,
        seed: int | None = None,
    ) -> None:
        """Change the given settings and keep the others. Raises ValueError for an unknown fault."""
        with self._lock:
            if latency_ms is not None:
                self.latency_ms = latency_ms
            if hang_seconds is not None:
                self.hang_seconds = hang_seconds
            if path is not None:
                self.path = path
            if probabilities is not None:
                self.probabilities = {_known(str(name)): float(p) for name, p in probabilities.items()}
            if script is not None:
                self.script = deque(None if item is None else _known(str(item)) for item in script)
            if seed is not None:
                self._random.seed(seed)

    def as_dict(self) -> dict[str, object]:
        """The settings of `configure`, without the seed."""
        return {
            "latency_ms": self.latency_ms,
            "hang_seconds": self.hang_seconds,
            "path": self.path,
            "probabilities": self.probabilities,
            "script": list(self.script),
        }

    def clear(self) -> None:
        """No latency, no faults."""
        self.configure(latency_ms=0, path="", probabilities={}, script=[], seed=0)

    def draw(self, path: str) -> str | None:
        """The fault for the next request to `path`, or None."""
        if not self.script and not self.probabilities:
            return None
        with self._lock:
            if self.path and not re.search(self.path, path):
                return None
            if self.script:
                return self.script.popleft()
            roll = self._random.random()
            for name, probability in self.probabilities.items():
                if roll < probability:
                    return name
                roll -= probability
            return None
