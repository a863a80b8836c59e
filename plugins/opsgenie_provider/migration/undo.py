"""Deletes an imported incident from OpsGenie; may be repeated at any point."""

from __future__ import annotations

import logging

from opsgenie_provider.api.errors import NotFoundError, UnknownOutcomeError
from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter
from opsgenie_provider.migration.importer import Importer
from opsgenie_provider.migration.ledger import Entry, Ledger

log = logging.getLogger(__name__)
_ATTEMPTS = 5


def delete_incident(importer: Importer, writer: OpsgenieWriter, ledger: Ledger, entry: Entry) -> str | None:
    """Delete the incident of a ledger row; returns why it could not be deleted, if so.

    What may or may not have been created is looked up by its tag first.

    :raises PermissionDeniedError: the key may not delete.
    """
    if entry.opsgenie_incident_id is None:
        entry = importer.find_outcome(entry)
    incident_id = entry.opsgenie_incident_id
    if incident_id is None:
        ledger.undone(entry)
        return None
    reason = "the outcome could not be determined"
    for _ in range(_ATTEMPTS):
        try:
            status = writer.outcome(writer.delete(incident_id))
        except UnknownOutcomeError as error:
            log.info("%s Sending it again: a second deletion does no harm.", error)
            continue
        except NotFoundError:
            status = None
        if (status and status.isSuccess) or not importer.lookup.exists(incident_id):
            ledger.undone(entry)
            return None
        reason = status.status if status else reason
    return f"{entry.pagerduty_id} ({incident_id}): {reason}"
