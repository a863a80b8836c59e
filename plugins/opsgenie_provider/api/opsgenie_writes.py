"""The only code that sends anything but GET; used with the import key alone.

All writes are asynchronous: 202 with a request id, whose status later says whether the write succeeded
(docs.opsgenie.com/docs/incident-api, "Get request status"). A write is retried only where it is known
that it was not applied; otherwise ``UnknownOutcomeError`` is raised, and the caller must look it up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import InvalidRequestError, NotFoundError, PermissionDeniedError
from opsgenie_provider.api.opsgenie import INCIDENT, PAGE_SIZE, OpsgenieClient

log = logging.getLogger(__name__)

# The id of an incident that does not exist: a write to it changes nothing.
_NO_INCIDENT = "00000000-0000-0000-0000-000000000000"
NOT_PROCESSED = "RequestNotProcessed"
# How long to wait for a queued request before a later run checks it again.
MAX_SECONDS_IN_QUEUE = 300.0
_poll_wait = wait_exponential(multiplier=0.1, max=5)


class RequestStatus(msgspec.Struct, frozen=True):
    """The result of a write.

    :param isSuccess: whether it was applied; the HTTP status 200 does not say so.
    :param status: the service's explanation.
    :param incidentId: the incident that was written; empty where there is none.
    """

    isSuccess: bool
    status: str = ""
    incidentId: str = ""


class _Accepted(msgspec.Struct):
    requestId: str


class _Status(msgspec.Struct):
    data: RequestStatus


class _Notes(msgspec.Struct):
    data: list[Raw]
    paging: dict[str, Any] | None = None


class _Note(msgspec.Struct):
    note: str = ""
    offset: str = ""


class OpsgenieWriter(OpsgenieClient):
    """Creates, resolves, annotates and deletes incidents. Safe to use from several threads."""

    # --- writes: each returns the request id

    def create_incident(self, payload: Mapping[str, Any]) -> str:
        """Request a new incident (incident API, create). The API has no idempotency key."""
        return self._write("POST", "/v1/incidents/create", payload)

    def resolve(self, incident_id: str) -> str:
        """Request to resolve an incident; a second request fails with "Incident is not open"."""
        return self._write("POST", f"/v1/incidents/{incident_id}/resolve", {})

    def add_note(self, incident_id: str, note: str) -> str:
        """Request a note (at most 25,000 characters); a second request adds a second note."""
        return self._write("POST", f"/v1/incidents/{incident_id}/notes", {"note": note})

    def add_details(self, incident_id: str, details: Mapping[str, str]) -> str:
        """Request to set details; idempotent."""
        return self._write("POST", f"/v1/incidents/{incident_id}/details", {"details": dict(details)})

    def delete(self, incident_id: str) -> str:
        """Request to delete an incident; needs the Delete right."""
        return self._write("DELETE", f"/v1/incidents/{incident_id}", None)

    def may_write(self) -> bool:
        """Whether the key has the right to write, found out without writing.

        Sends an empty note to an incident that does not exist. The service rejects it, either for the
        missing right or for the request itself; nothing is written in either case.
        """
        try:
            self._write("POST", f"/v1/incidents/{_NO_INCIDENT}/notes", {})
        except PermissionDeniedError:
            return False
        except (InvalidRequestError, NotFoundError):
            return True
        return True

    # --- results of writes

    def outcome(self, request_id: str) -> RequestStatus | None:
        """Wait until a request is processed; None where the service does not know it (any longer).

        :raises TimeoutError: it is still queued after ``MAX_SECONDS_IN_QUEUE``.
        """
        waiting = Retrying(
            retry=retry_if_result(lambda status: status is NOT_PROCESSED),
            wait=_poll_wait,
            stop=stop_after_delay(MAX_SECONDS_IN_QUEUE),
            retry_error_callback=lambda state: NOT_PROCESSED,
            sleep=time.sleep,
        )
        status = waiting(self._status, request_id)
        if isinstance(status, str):
            raise TimeoutError(
                f"OpsGenie has not processed the request {request_id} within {MAX_SECONDS_IN_QUEUE:.0f} s. "
                "The next run looks the request up."
            )
        return status

    def _status(self, request_id: str) -> RequestStatus | str | None:
        path = f"/v1/incidents/requests/{request_id}"
        try:
            return self.transport.get(path, domain=INCIDENT, into=_Status).data
        except NotFoundError as error:
            return NOT_PROCESSED if error.kind == NOT_PROCESSED else None

    def notes(self, incident_id: str) -> list[str]:
        """The texts of an incident's notes, oldest first (incident API, list notes; paged by ``offset``)."""
        found: list[str] = []
        offset = ""
        while True:
            params = {"limit": PAGE_SIZE, "order": "asc"} | ({"offset": offset} if offset else {})
            path = f"/v1/incidents/{incident_id}/notes"
            answer = self.transport.get(path, domain=INCIDENT, params=params, into=_Notes)
            page = [decode_into(raw, _Note) for raw in answer.data]
            found += [note.note for note in page]
            if not page or not (answer.paging or {}).get("next") or page[-1].offset in ("", offset):
                return found
            offset = page[-1].offset

    def tagged(self, tag: str) -> list[Raw]:
        """Incidents with a tag that the search index contains by now; new ones may be missing.

        A tag may contain a colon, so the query is tried with and without quotes: a form that the server
        cannot parse finds nothing. The caller must check the tags of the incidents found.

        :raises InvalidRequestError: the server rejects both forms.
        """
        rejected: list[InvalidRequestError] = []
        for query in (f'tag: "{tag}"', f"tag: {tag}"):
            try:
                found = self.incidents(query=query).items
            except InvalidRequestError as error:
                rejected.append(error)
                continue
            if found:
                return found
        if len(rejected) == 2:
            raise rejected[0]
        return []

    def _write(self, method: str, path: str, body: Mapping[str, Any] | None) -> str:
        params = None if path.endswith("/create") else {"identifierType": "id"}
        return self.transport.write(
            method, path, domain=INCIDENT, body=body, params=params, into=_Accepted
        ).requestId
