"""Asynchronous writes: accepted at once, processed later, with a status by request id.

docs.opsgenie.com/docs/incident-api: a status read answers 404 with `X-Opsgenie-Errortype:
RequestNotProcessed` until the request is processed, 404 without that header for an unknown id, and 200 with
`isSuccess` true or false afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.instants import MS, Clock, Nanos, iso

INTEGRATION_ID = "c9cec2cb-e782-4ebb-bc1d-1b2fa703cf03"

#: The result of an action: whether it succeeded, the status text, the incident's id ("" if there is none).
Outcome = tuple[bool, str, str]


@dataclass
class _Request:
    action: str
    run: Callable[[], Outcome]
    due: Nanos
    polls_left: int
    outcome: Outcome | None = None
    processed_at: Nanos = 0


class Requests:
    """`processing_ms` delays the action; `processing_polls`: number of status reads without its outcome."""

    def __init__(self, clock: Clock) -> None:
        self.processing_ms = 0
        self.processing_polls = 0
        self._clock = clock
        self._requests: dict[str, _Request] = {}
        self._waiting: list[_Request] = []
        self._lock = threading.RLock()

    def submit(self, request_id: str, action: str, run: Callable[[], Outcome]) -> None:
        """Accept an action; it runs once it is due, in the order of arrival."""
        with self._lock:
            due = self._clock() + self.processing_ms * MS
            request = _Request(action, run, due, self.processing_polls)
            self._requests[request_id] = request
            self._waiting.append(request)
        self.run_due()

    def run_due(self) -> None:
        """Process due actions; called at the start of each API request, in place of a background worker."""
        if not self._waiting:
            return
        with self._lock:
            now = self._clock()
            due = [request for request in self._waiting if request.due <= now]
            self._waiting = [request for request in self._waiting if request.due > now]
            for request in due:
                request.outcome = request.run()
                request.processed_at = now

    def poll(self, request_id: str) -> tuple[bool, dict[str, Any] | None]:
        """(known, status); the status is None while the request is not processed."""
        with self._lock:
            request = self._requests.get(request_id)
            if request is None:
                return False, None
            if request.polls_left > 0 or request.outcome is None:
                request.polls_left -= 1
                return True, None
            success, status, incident_id = request.outcome
            return True, {
                "success": success,
                "action": request.action,
                "processedAt": iso(request.processed_at),
                "integrationId": INTEGRATION_ID,
                "isSuccess": success,
                "status": status,
                "incidentId": incident_id,
            }
