"""Imports incidents of the ledger into OpsGenie, step by step, so that a run may end after any step.

Before a request that must not be carried out twice is sent, the ledger says so; after it was accepted,
the ledger has its id. Whoever finds such a mark later looks up the outcome first: by the request's
status where its id is known, else by the incident's tag, for as long as the search index may lag
behind. Only what then does not exist is sent again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NoReturn

from opsgenie_provider.api.errors import (
    ApiConnectionError,
    ApiError,
    ApiStatusError,
    AuthenticationError,
    InvalidResponseError,
    NotSentError,
    PermissionDeniedError,
    PlanError,
    RateLimitError,
    ServerError,
    UnknownOutcomeError,
)
from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter, RequestStatus
from opsgenie_provider.migration.ledger import Entry, Ledger
from opsgenie_provider.migration.lookup import Lookup, OutcomePendingError
from opsgenie_provider.migration.payloads import same_text, violations

log = logging.getLogger(__name__)

# How often a request with an unknown outcome is tried before it is left to a later run.
_ATTEMPTS = 5
# What stops the run: it would fail for every other incident, too.
RUN_FATAL_ERRORS = (AuthenticationError, PermissionDeniedError, PlanError, RateLimitError, NotSentError)
TRANSIENT_ERRORS = (ApiConnectionError, InvalidResponseError, ServerError, TimeoutError, UnknownOutcomeError)


class StepRefusedError(Exception):
    """OpsGenie did not carry out a step; the message has its reason."""


class IncidentGoneError(Exception):
    """An incident that was imported no longer exists."""


class Importer:
    """Imports several incidents at a time; a failure of one does not stop the others.

    :param ledger: locked by this process.
    :param lookup: made by this process, since it took the lock.
    """

    def __init__(self, writer: OpsgenieWriter, ledger: Ledger, lookup: Lookup) -> None:
        self._writer = writer
        self._ledger = ledger
        self.lookup = lookup
        self._stopped = threading.Event()

    def import_all(
        self, entries: Iterable[Entry], executor: ThreadPoolExecutor, advance: Callable[[int], None]
    ) -> list[Entry]:
        """Import entries as far as possible; returns them as the ledger then has them.

        Those with an unknown outcome wait until all others are done: by then most can be looked up.

        :param advance: called with the number of entries that are finished.
        :raises ApiError: nothing can be imported any more: the key, the plan, the connection.
        """
        results = {entry.pagerduty_id: entry for entry in entries}
        remaining = list(results.values())
        try:
            for may_wait in (False, *(True for _ in range(_ATTEMPTS))):
                imported = list(
                    executor.map(partial(self._import_unless_stopped, may_wait=may_wait), remaining)
                )
                results |= {entry.pagerduty_id: entry for entry, _ in imported}
                remaining = [entry for entry, is_pending in imported if is_pending]
                advance(len(imported) - len(remaining))
                if not remaining:
                    break
                log.info("%d incidents may or may not exist already: looking them up.", len(remaining))
        except BaseException:
            self._stopped.set()
            raise
        return list(results.values())

    def _import_unless_stopped(self, entry: Entry, *, may_wait: bool) -> tuple[Entry, bool]:
        """An entry after its import, and whether the outcome of a step is still pending."""
        if self._stopped.is_set():
            return entry, False
        try:
            return self.import_incident(entry, may_wait=may_wait), False
        except OutcomePendingError:
            return self._ledger.entry(entry.pagerduty_id), True
        except BaseException:
            self._stopped.set()
            raise

    def import_incident(self, entry: Entry, *, may_wait: bool = True) -> Entry:
        """Import an entry to done or failed; it stays where it is if a transient error stops it.

        :param may_wait: wait for the service where the outcome of a step is unknown.
        :raises OutcomePendingError: an outcome is unknown, and this may not wait or it is too early.
        """
        try:
            try:
                return self._take_steps(entry, may_wait)
            except IncidentGoneError as error:
                log.warning("%s It is created again.", error)
                entry = self._ledger.replan_deleted(self._ledger.entry(entry.pagerduty_id))
                return self._take_steps(entry, may_wait)
        except RUN_FATAL_ERRORS:
            raise
        except (*TRANSIENT_ERRORS, ApiStatusError, IncidentGoneError) as error:
            log.warning("%s is left for a rerun: %s", entry.pagerduty_id, error)
            return self._ledger.entry(entry.pagerduty_id)

    def _take_steps(self, entry: Entry, may_wait: bool) -> Entry:
        if entry.state in ("planned", "submitting", "submitted"):
            entry = self._create(entry, may_wait)
        try:
            if entry.state == "created":
                entry = self._set_status(entry)
            if entry.state == "resolved":
                entry = self._add_notes(entry, may_wait)
        except RUN_FATAL_ERRORS:
            raise
        except (StepRefusedError, ApiStatusError) as error:
            if isinstance(error, ServerError):
                raise
            self._require_existing(entry, may_wait)
            return self._ledger.failed(self._ledger.entry(entry.pagerduty_id), str(error))
        return entry

    # --- create

    def _create(self, entry: Entry, may_wait: bool) -> Entry:
        if entry.state == "planned" and (problems := violations(entry.payload)):
            return self._ledger.refused(entry, "OpsGenie would refuse it: " + "; ".join(problems))
        if entry.state == "submitting":
            entry = self._look_up(entry, may_wait)
        if entry.state == "planned":
            entry = self._submit(entry)
        if entry.state == "submitted":
            entry = self._confirm(entry, may_wait)
        return entry

    def _submit(self, entry: Entry) -> Entry:
        entry = self._ledger.submitting(entry)
        try:
            request_id = self._writer.create_incident(entry.payload["create"])
        except UnknownOutcomeError as error:
            self._wait_for_outcome(entry, "create", error)
        except RUN_FATAL_ERRORS as error:
            self._ledger.replan(entry, str(error))
            raise
        except ApiStatusError as error:
            return self._ledger.refused(entry, str(error))
        return self._ledger.submitted(entry, request_id)

    def _confirm(self, entry: Entry, may_wait: bool) -> Entry:
        status = self._writer.outcome(entry.opsgenie_request_id or "")
        if status is None or (status.isSuccess and not status.incidentId):
            # The service no longer knows the request; the incident may exist.
            self.lookup.written(entry.pagerduty_id, "create", at_first=True)
            entry = self._look_up(entry, may_wait)
            return self._submit(entry) if entry.state == "planned" else entry
        if status.isSuccess:
            self.lookup.written(entry.pagerduty_id, "incident")
            return self._ledger.created(entry, status.incidentId)
        return self._ledger.refused(entry, f"OpsGenie did not create it: {status.status}")

    def _look_up(self, entry: Entry, may_wait: bool) -> Entry:
        """Adopt the incident if it exists, or plan it again once the index would have to list it."""
        found = self.lookup.poll(
            lambda: self.lookup.find(entry.pagerduty_id), entry.pagerduty_id, "create", may_wait
        )
        if found is not None:
            return self._ledger.created(entry, found)
        log.info("%s: not found in OpsGenie; creating it again.", entry.pagerduty_id)
        return self._ledger.replan(entry)

    def find_outcome(self, entry: Entry) -> Entry:
        """Find out whether an entry's incident was created, without creating it."""
        if entry.state == "submitted":
            status = self._writer.outcome(entry.opsgenie_request_id or "")
            if status is not None and status.isSuccess and status.incidentId:
                return self._ledger.created(entry, status.incidentId)
            if status is not None and not status.isSuccess:
                return self._ledger.replan(entry, status.status)
        return self._look_up(entry, may_wait=True)

    def adopt(self, executor: ThreadPoolExecutor) -> None:
        """Take over incidents that exist though the ledger does not know of them: a lost warehouse, say."""
        planned = {entry.pagerduty_id: entry for entry in self._ledger.entries(("planned",))}
        if not planned:
            return
        listed = [(id_, found) for id_, found in self.lookup.imported(executor) if id_ in planned]
        exist = executor.map(self.lookup.exists, [incident_id for _, incident_id in listed])
        for (pagerduty_id, incident_id), exists in zip(listed, exist, strict=True):
            if not exists:
                log.info("%s: OpsGenie's search still lists %s, which is deleted.", pagerduty_id, incident_id)
            elif entry := planned.pop(pagerduty_id, None):
                log.warning("%s already exists in OpsGenie as %s: adopted.", pagerduty_id, incident_id)
                self._ledger.created(entry, incident_id, adopted=True)

    def _require_existing(self, entry: Entry, may_wait: bool) -> None:
        """After a step failed.

        :raises IncidentGoneError: because the incident was deleted, or else this process would see it.
        """
        incident_id = entry.opsgenie_incident_id or ""
        lookup = self.lookup
        if lookup.exists(incident_id):
            return
        if not lookup.poll(
            lambda: lookup.exists(incident_id) or None, entry.pagerduty_id, "incident", may_wait
        ):
            raise IncidentGoneError(
                f"{entry.pagerduty_id}: its OpsGenie incident {incident_id} was deleted by somebody else."
            )

    def _wait_for_outcome(self, entry: Entry, what: str, error: Exception) -> NoReturn:
        log.info("%s: %s Looking up the outcome.", entry.pagerduty_id, error)
        self.lookup.written(entry.pagerduty_id, what)
        raise OutcomePendingError(entry.pagerduty_id) from error

    # --- resolve

    def _set_status(self, entry: Entry) -> Entry:
        """Details that changed since, then the resolution: both may be repeated without harm."""
        incident_id = entry.opsgenie_incident_id or ""
        if entry.payload.get("revise"):
            details = entry.payload["create"]["details"]
            status = self._repeat(lambda: self._writer.add_details(incident_id, details))
            if not status.isSuccess:
                raise StepRefusedError(f"OpsGenie did not set the details: {status.status}")
        if entry.payload["resolve"]:
            status = self._repeat(lambda: self._writer.resolve(incident_id))
            if not status.isSuccess and not self.lookup.is_over(incident_id):
                raise StepRefusedError(f"OpsGenie did not resolve it: {status.status}")
        return self._ledger.resolved(entry)

    def _repeat(self, send: Callable[[], str]) -> RequestStatus:
        """Send what may be sent twice until its outcome is known."""
        for _ in range(_ATTEMPTS):
            try:
                if status := self._writer.outcome(send()):
                    return status
            except UnknownOutcomeError as error:
                log.info("%s Sending it again.", error)
        return RequestStatus(isSuccess=False, status="the outcome could not be determined")

    # --- notes

    def _add_notes(self, entry: Entry, may_wait: bool) -> Entry:
        """One after the other, so that they are in the order of time."""
        notes: Sequence[str] = entry.payload["notes"]
        while entry.notes_done < len(notes):
            if entry.note_sent:
                entry = self._confirm_note(entry, notes, may_wait)
                continue
            entry = self._ledger.note_sending(entry)
            try:
                request_id = self._writer.add_note(entry.opsgenie_incident_id or "", notes[entry.notes_done])
            except UnknownOutcomeError as error:
                self._wait_for_outcome(entry, "note", error)
            except ApiError:
                self._ledger.notes_confirmed(entry, entry.notes_done)
                raise
            entry = self._ledger.note_accepted(entry, request_id)
        return self._ledger.done(entry)

    def _confirm_note(self, entry: Entry, notes: Sequence[str], may_wait: bool) -> Entry:
        """Find out the outcome of the note that was sent last."""
        if entry.note_request_id:
            status = self._writer.outcome(entry.note_request_id)
            if status is not None and status.isSuccess:
                return self._ledger.notes_confirmed(entry, entry.notes_done + 1)
            if status is not None:
                self._ledger.notes_confirmed(entry, entry.notes_done)
                raise StepRefusedError(f"OpsGenie did not add a note: {status.status}")
            self.lookup.written(entry.pagerduty_id, "note", at_first=True)

        def look() -> int | None:
            count = self._count_notes(entry.opsgenie_incident_id or "", notes)
            return count if count > entry.notes_done else None

        found = self.lookup.poll(look, entry.pagerduty_id, "note", may_wait)
        return self._ledger.notes_confirmed(entry, found or entry.notes_done)

    def _count_notes(self, incident_id: str, notes: Sequence[str]) -> int:
        """How many of the notes, from the first on, OpsGenie has."""
        count = 0
        for note in self._writer.notes(incident_id):
            if count < len(notes) and same_text(note, notes[count]):
                count += 1
        return count
