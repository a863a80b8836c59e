"""Carries incidents of the ledger into OpsGenie, step by step, so that any step may be the last.

Before a request that must not happen twice leaves, the ledger says so; after it was accepted, the
ledger has its id. Whoever finds such a mark later looks up what came of it before going on: by the
request's status where the id is known, else by the incident's tag, for as long as the search index
may lag behind. Only what then is not there is sent again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import msgspec
from msgspec import Raw

from opsgenie_provider.api.decoding import decode_into
from opsgenie_provider.api.errors import (
    ApiConnectionError,
    ApiError,
    ApiStatusError,
    AuthenticationError,
    InvalidResponseError,
    NotFoundError,
    NotSentError,
    PermissionDeniedError,
    PlanError,
    RateLimitError,
    ServerError,
    UnknownOutcomeError,
)
from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter, RequestStatus
from opsgenie_provider.migration.ledger import Entry, Ledger
from opsgenie_provider.migration.payloads import tag_of, violations

log = logging.getLogger(__name__)

SETTLE_SECONDS = 60.0
# How often what is not known to have happened is tried anew before it is left to a later run.
_TRIES = 5
_LONGEST_PAUSE = 5.0
_FOR_ALL = (AuthenticationError, PermissionDeniedError, PlanError, RateLimitError, NotSentError)
_IN_PASSING = (ApiConnectionError, InvalidResponseError, ServerError, TimeoutError, UnknownOutcomeError)


class IncidentGoneError(Exception):
    """An incident that was imported is no longer there."""


class InDoubtError(Exception):
    """A request may have happened, and it is too early to say."""


class _Found(msgspec.Struct):
    id: str
    status: str = ""
    tags: list[str] | None = None
    extraProperties: dict[str, Any] | None = None


class Importer:
    """Moves entries on, several at a time; what fails for one incident does not stop the others.

    :param account: the PagerDuty account, as the details of imported incidents name it.
    :param settle_seconds: how long the search index may lag behind a write. What it does not show
        by then is not there.
    """

    def __init__(
        self,
        writer: OpsgenieWriter,
        ledger: Ledger,
        account: str,
        *,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._account = account
        self._settle_seconds = settle_seconds
        # Whatever another process sent, it sent before it lost the lock that we hold now.
        self._started = time.monotonic()
        self._doubts: dict[str, float] = {}
        self._stopped = threading.Event()

    def carry_all(
        self, entries: Iterable[Entry], executor: ThreadPoolExecutor, advance: Callable[[int], None]
    ) -> list[Entry]:
        """Move entries to their end; returns where each one stands.

        What is in doubt waits until all the others are done: by then most doubts are old enough.

        :raises ApiError: nothing can be imported any more: the key, the plan, the connection.
        """
        standing = {entry.pagerduty_id: entry for entry in entries}
        moving = list(standing.values())
        try:
            for patient in (False, *(True for _ in range(_TRIES))):
                results = list(executor.map(partial(self._carry_one, patient=patient), moving))
                standing |= {entry.pagerduty_id: entry for entry, _ in results}
                moving = [entry for entry, in_doubt in results if in_doubt]
                advance(len(results) - len(moving))
                if not moving:
                    break
                log.info("%d incidents may or may not be there already: looking them up.", len(moving))
        except BaseException:
            self._stopped.set()
            raise
        return list(standing.values())

    def _carry_one(self, entry: Entry, *, patient: bool) -> tuple[Entry, bool]:
        """An entry after it was moved, and whether it is in doubt."""
        if self._stopped.is_set():
            return entry, False
        try:
            return self.carry(entry, patient=patient), False
        except InDoubtError:
            return self._ledger.entry(entry.pagerduty_id), True
        except BaseException:
            self._stopped.set()
            raise

    def carry(self, entry: Entry, *, patient: bool = True) -> Entry:
        """Move an entry as far as it goes: to done or failed, or it stays where nobody knows more.

        :param patient: wait for the index where something is in doubt.
        :raises InDoubtError: something is in doubt, and this is not patient or the doubt is new.
        """
        try:
            if entry.state in ("planned", "submitting", "submitted"):
                entry = self._create(entry, patient)
            if entry.state == "created":
                entry = self._settle_status(entry)
            if entry.state == "resolved":
                entry = self._notes(entry, patient)
        except _FOR_ALL:
            raise
        except _IN_PASSING as error:
            log.warning("%s is left for a rerun: %s", entry.pagerduty_id, error)
            entry = self._ledger.entry(entry.pagerduty_id)
        except (ApiStatusError, IncidentGoneError) as error:
            entry = self._ledger.entry(entry.pagerduty_id)
            if entry.state in ("created", "resolved"):
                return self._ledger.failed(entry, str(error))
            log.warning("%s is left for a rerun: %s", entry.pagerduty_id, error)
        return entry

    # --- create

    def _create(self, entry: Entry, patient: bool) -> Entry:
        if entry.state == "planned" and (problems := violations(entry.payload)):
            return self._ledger.failed(entry, "OpsGenie would refuse it: " + "; ".join(problems))
        if entry.state == "submitting":
            entry = self._look_up(entry, patient)
        if entry.state == "planned":
            entry = self._submit(entry)
        if entry.state == "submitted":
            entry = self._confirm(entry, patient)
        return entry

    def _submit(self, entry: Entry) -> Entry:
        entry = self._ledger.submitting(entry)
        try:
            request_id = self._writer.create_incident(entry.payload["create"])
        except UnknownOutcomeError as error:
            self._doubt(entry, error)
        except _FOR_ALL as error:
            self._ledger.planned_again(entry, str(error))
            raise
        except ApiStatusError as error:
            return self._ledger.failed(entry, str(error))
        return self._ledger.submitted(entry, request_id)

    def _confirm(self, entry: Entry, patient: bool) -> Entry:
        status = self._writer.outcome(entry.opsgenie_request_id or "")
        if status is None or (status.isSuccess and not status.incidentId):
            # The request's fate is forgotten; the incident may be there.
            self._doubts.setdefault(entry.pagerduty_id, time.monotonic())
            entry = self._look_up(entry, patient)
            return self._submit(entry) if entry.state == "planned" else entry
        if status.isSuccess:
            return self._ledger.created(entry, status.incidentId)
        return self._ledger.failed(entry, f"OpsGenie did not create it: {status.status}")

    def _look_up(self, entry: Entry, patient: bool) -> Entry:
        """Adopt the incident if the index shows it, or plan it again once the index must have."""
        found = self._until(lambda: self.find(entry.pagerduty_id), entry, patient)
        if found is not None:
            return self._ledger.created(entry, found)
        log.info("%s was not created: once more.", entry.pagerduty_id)
        return self._ledger.planned_again(entry)

    def decide(self, entry: Entry) -> Entry:
        """Find out whether an entry's incident was created, without creating it."""
        if entry.state == "submitted":
            status = self._writer.outcome(entry.opsgenie_request_id or "")
            if status is not None and status.isSuccess and status.incidentId:
                return self._ledger.created(entry, status.incidentId)
            if status is not None and not status.isSuccess:
                return self._ledger.planned_again(entry, status.status)
        return self._look_up(entry, patient=True)

    def find(self, pagerduty_id: str) -> str | None:
        """The id of the OpsGenie incident that bears a PagerDuty incident's tag, if the index shows one."""
        tag = tag_of(pagerduty_id)
        for raw in self._writer.tagged(tag):
            incident = decode_into(raw, _Found)
            account = (incident.extraProperties or {}).get("pagerduty_account", self._account)
            if tag in (incident.tags or ()) and account == self._account:
                return incident.id
        return None

    def find_settled(self, entry: Entry) -> str | None:
        """As ``find``, for an incident that was just created: waits for the index."""
        self._doubts[entry.pagerduty_id] = time.monotonic()
        return self._until(lambda: self.find(entry.pagerduty_id), entry, patient=True)

    def _doubt(self, entry: Entry, error: Exception) -> NoReturn:
        log.info("%s: %s It is looked up.", entry.pagerduty_id, error)
        self._doubts[entry.pagerduty_id] = time.monotonic()
        raise InDoubtError(entry.pagerduty_id) from error

    def _until(self, look: Callable[[], str | None], entry: Entry, patient: bool) -> str | None:
        """What ``look`` finds, asked until it would have to be there."""
        if not patient:
            raise InDoubtError(entry.pagerduty_id)
        end = self._doubts.get(entry.pagerduty_id, self._started) + self._settle_seconds
        pause = 0.25
        while True:
            # The time is taken first: a look that begins after the end is the last.
            over = time.monotonic() >= end
            if (found := look()) is not None or over:
                return found
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE)

    # --- resolve

    def _settle_status(self, entry: Entry) -> Entry:
        """Details that changed since, then the resolution: both may be repeated without harm."""
        incident_id = entry.opsgenie_incident_id or ""
        if entry.payload.get("revise"):
            details = entry.payload["create"]["details"]
            status = self._repeat(lambda: self._writer.add_details(incident_id, details))
            if not status.isSuccess:
                return self._ledger.failed(entry, f"OpsGenie did not set the details: {status.status}")
        if entry.payload["resolve"]:
            status = self._repeat(lambda: self._writer.resolve(incident_id))
            if not status.isSuccess and not self._is_over(incident_id):
                return self._ledger.failed(entry, f"OpsGenie did not resolve it: {status.status}")
        return self._ledger.resolved(entry)

    def _repeat(self, send: Callable[[], str]) -> RequestStatus:
        """Send what may be sent twice until its outcome is known."""
        for _ in range(_TRIES):
            try:
                if status := self._writer.outcome(send()):
                    return status
            except UnknownOutcomeError as error:
                log.info("%s Once more.", error)
        return RequestStatus(isSuccess=False, status="the outcome could not be found out")

    def _is_over(self, incident_id: str) -> bool:
        return self.read(incident_id).status in ("resolved", "closed")

    def read(self, incident_id: str) -> _Found:
        """An incident by its id; unlike a search, this sees it at once.

        :raises IncidentGoneError: it was deleted.
        """
        try:
            return decode_into(self.read_raw(incident_id), _Found)
        except NotFoundError:
            raise IncidentGoneError(
                f"The OpsGenie incident {incident_id} is gone: somebody deleted it. Undo the migration, or "
                "leave it at that."
            ) from None

    def read_raw(self, incident_id: str) -> Raw:
        """An incident by its id, as received."""
        return self._writer.incident(incident_id)

    # --- notes

    def _notes(self, entry: Entry, patient: bool) -> Entry:
        """One after the other, so that they stand in the order of time."""
        notes: Sequence[str] = entry.payload["notes"]
        while entry.state == "resolved" and entry.notes_done < len(notes):
            if entry.note_sent:
                entry = self._settle_note(entry, notes, patient)
                continue
            entry = self._ledger.note_leaving(entry)
            try:
                request_id = self._writer.add_note(entry.opsgenie_incident_id or "", notes[entry.notes_done])
            except UnknownOutcomeError as error:
                self._doubt(entry, error)
            except ApiError:
                self._ledger.notes_stand(entry, entry.notes_done)
                raise
            entry = self._ledger.note_accepted(entry, request_id)
        return entry if entry.state == "failed" else self._ledger.done(entry)

    def _settle_note(self, entry: Entry, notes: Sequence[str], patient: bool) -> Entry:
        """Find out what came of the note that was sent last."""
        if entry.note_request_id:
            status = self._writer.outcome(entry.note_request_id)
            if status is not None and status.isSuccess:
                return self._ledger.notes_stand(entry, entry.notes_done + 1)
            if status is not None:
                entry = self._ledger.notes_stand(entry, entry.notes_done)
                return self._ledger.failed(entry, f"OpsGenie did not add a note: {status.status}")
            self._doubts.setdefault(entry.pagerduty_id, time.monotonic())

        def look() -> str | None:
            standing = self._standing(entry.opsgenie_incident_id or "", notes)
            return str(standing) if standing > entry.notes_done else None

        found = self._until(look, entry, patient)
        return self._ledger.notes_stand(entry, int(found or entry.notes_done))

    def _standing(self, incident_id: str, notes: Sequence[str]) -> int:
        """How many of the notes stand in OpsGenie, from the first on."""
        count = 0
        for note in self._writer.notes(incident_id):
            if count < len(notes) and note.strip() == notes[count].strip():
                count += 1
        return count
