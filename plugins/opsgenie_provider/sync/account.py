"""The sync of one account: its parts in order, and what comes of each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TypedDict

import psycopg

from opsgenie_provider.api.errors import ApiError
from opsgenie_provider.api.transport import DENIED
from opsgenie_provider.end_of_life import notice
from opsgenie_provider.rows.alerts import AlertRules
from opsgenie_provider.sync.alerts import alert_subject, sync_details
from opsgenie_provider.sync.catalogue import sync_lists
from opsgenie_provider.sync.incidents import IncidentSync, incident_subject
from opsgenie_provider.sync.key import Key
from opsgenie_provider.sync.on_call import SCHEDULES, sync_on_call
from opsgenie_provider.sync.plan import plan_account
from opsgenie_provider.sync.reader import Reader
from opsgenie_provider.sync.run import AccountRun, Params, Result, counts_text
from opsgenie_provider.sync.subject import Subject
from opsgenie_provider.sync.timelines import sync_timelines
from opsgenie_provider.sync.users import sync_referenced_users
from opsgenie_provider.warehouse.alerts import mark_excluded
from opsgenie_provider.warehouse.backends import note_backend
from opsgenie_provider.warehouse.connection import Warehouse
from opsgenie_provider.warehouse.history import opsgenie_histories
from opsgenie_provider.warehouse.people import stored_names
from opsgenie_provider.warehouse.progress import RunProgress

log = logging.getLogger(__name__)
Part = Callable[[Result], None]

CATALOGUE = ("services", "teams", "users")
ESCALATIONS = ("escalations",)
# Small lists first: their first pages are on their way while the incidents' are asked for.
PARTS = ("catalogue", "escalations", "on_call", "incidents", "timelines", "alerts", "details", "users")


# Lists, of which each keeps what it cannot read under its own name.
_REJECTS_OWN_PAYLOADS = {"catalogue", "escalations"}


class Outcome(TypedDict):
    """What a sync of an account did; plain JSON.

    :param parts: counts of each part by name.
    :param skipped_parts: what the key may not read.
    :param failed: each part that failed, with the reason.
    :param stored: whether this run has changed anything in the warehouse, earlier tries included.
    """

    account: str
    requests: int
    rows_changed: int
    deleted: int
    rejected: int
    deferred: int
    parts: dict[str, dict[str, int]]
    skipped_parts: list[str]
    failed: dict[str, str]
    stored: bool


class PartsFailedError(Exception):
    """Some parts of an account's sync failed; what the others read is stored.

    :ivar errors: what went wrong, by part.
    :ivar outcome: what the sync did all the same.
    """

    def __init__(self, account: str, errors: Mapping[str, Exception], outcome: Outcome) -> None:
        self.errors = dict(errors)
        self.outcome = outcome
        reasons = " ".join(f"{part}: {error}" for part, error in self.errors.items())
        super().__init__(
            f"{account}: {', '.join(self.errors)} failed; what else was read is stored. {reasons}"
        )


def sync_account(
    account: str,
    reader: Reader,
    warehouse: Warehouse,
    params: Params,
    executor: ThreadPoolExecutor,
    *,
    alerts: AlertRules | None = None,
    run_id: str = "",
) -> Outcome:
    """Read an account, all parts of it. A part that fails does not keep the others from being read.

    :param executor: the reader's.
    :param alerts: which alerts are read in place of incidents, as the reader has it; None: incidents are.
    :param run_id: names the run; another try with the same name leaves out what is done.
    :raises PartsFailedError: naming each part that failed, and why.
    """
    with warehouse.lock(account) as connection:
        progress = RunProgress(connection, account, run_id)
        key = Key(connection, account, reader)
        now = datetime.now(UTC)
        run = AccountRun(account, reader, params, connection, executor, key, progress, now, alerts)
        return _AccountSync(run).perform()


class _SubjectPart:
    """Reads the incidents of an account, or the alerts that are incidents."""

    def __init__(self, run: AccountRun, subject: Subject) -> None:
        self._run = run
        self._subject = subject
        self._sync: IncidentSync | None = None

    def begin(self, result: Result) -> None:
        """Send the first requests."""
        self._sync = IncidentSync(self._run, plan_account(self._run, self._subject), self._subject)

    def perform(self, result: Result) -> None:
        """Read and store, once begun."""
        run = self._run
        assert self._sync is not None
        # Alerts excluded by the current settings.
        with run.transaction() as connection:
            priorities = run.alerts.priorities if run.alerts else ()
            excluded = mark_excluded(connection, run.account, included=priorities)
            run.progress.stored(excluded)
        result.counts.update(rows_changed=excluded)
        self._sync.perform(result)


class _AccountSync:
    def __init__(self, run: AccountRun) -> None:
        self._run = run
        self._results: dict[str, Result] = {}
        self._errors: dict[str, Exception] = {}

    def perform(self) -> Outcome:
        run = self._run
        if self._attempt("key", lambda result: run.key.load_or_validate()):
            # Once a day, and where the key is another one.
            notify_end_of_life = run.key.is_validated
            note_backend(run.connection, run.account, run.reader.backend, run.now)
            if run.reader.looks_up_users:
                names = stored_names(run.connection, run.account, run.reader.backend)
                run.reader.set_stored_names(names, reach=run.key.access.reach)
            for name, part in self._begin().items():
                self._attempt(name, part)
                if self._key_is_in_doubt() and not self._attempt("key", lambda result: run.key.validate()):
                    if getattr(self._errors.get(name), "status", None) in DENIED:
                        # Whether the refusal came before or after the part began, it is one failure.
                        del self._errors[name]
                    break
            if notify_end_of_life:
                self._log_end_of_life()
        outcome = self._outcome()
        if self._errors:
            raise PartsFailedError(run.account, self._errors, outcome)
        run.progress.finish()
        return outcome

    def _key_is_in_doubt(self) -> bool:
        """Whether what was known of the key's rights may hold no longer.

        Refusals of the whole run count, for many requests are sent before their part begins.
        """
        run = self._run
        return not run.key.is_validated and run.reader.requests_denied > run.expected_refusals()

    def _begin(self) -> dict[str, Part]:
        """All parts; the first requests of each leave at once."""
        run = self._run
        lists = [name for name in CATALOGUE if name != "users" or not run.reader.looks_up_users]
        parts: dict[str, Part] = {
            "catalogue": partial(sync_lists, run, names=lists),
            "escalations": partial(sync_lists, run, names=ESCALATIONS),
            "on_call": partial(sync_on_call, run),
        }
        if run.alerts:
            subject = alert_subject(run, run.alerts)
            parts["details"] = partial(sync_details, run, rules=run.alerts)
        else:
            subject = incident_subject(run)
            if run.reader.separate_timelines:
                parts["timelines"] = partial(sync_timelines, run)
        if run.reader.looks_up_users:
            parts["users"] = partial(sync_referenced_users, run)
        part = _SubjectPart(run, subject)
        if self._attempt(subject.name, part.begin):
            parts[subject.name] = part.perform
        for name in (*lists, *ESCALATIONS, SCHEDULES):
            run.begin_listing(name)
        return {name: parts[name] for name in PARTS if name in parts}

    def _attempt(self, name: str, part: Part) -> bool:
        """Whether a part succeeds; else its error is kept."""
        account = self._run.account
        result = self._results[name] = Result()
        try:
            part(result)
        except psycopg.OperationalError:
            # No part can do without the warehouse.
            raise
        except ApiError as error:
            log.error("%s: %s failed. %s", account, name, error)
            if name not in _REJECTS_OWN_PAYLOADS:
                self._run.keep_unknown_shape(name, error)
            self._errors[name] = error
            return False
        except Exception as error:
            log.exception("%s: %s failed.", account, name)
            self._errors[name] = error
            return False
        if result.counts:
            log.info("%s: %s: %s.", account, name, counts_text(result.counts))
        return True

    def _log_end_of_life(self) -> None:
        for stored in opsgenie_histories(self._run.connection, self._run.account):
            log.warning("%s: %s", stored.account, notice(stored, self._run.now.date()))

    def _outcome(self) -> Outcome:
        run = self._run
        total: Counter[str] = Counter()
        for result in self._results.values():
            total.update(result.counts)
        outcome = Outcome(
            account=run.account,
            requests=run.reader.requests_sent,
            rows_changed=total["rows_changed"],
            deleted=total["deleted"],
            rejected=total["rejected"],
            deferred=total["deferred"],
            parts={name: dict(result.counts) for name, result in self._results.items() if result.counts},
            skipped_parts=[what for result in self._results.values() for what in result.skipped],
            failed={name: str(error) for name, error in self._errors.items()},
            stored=bool(run.progress.earlier_rows_changed or total["rows_changed"] or total["deleted"]),
        )
        log.info(
            "%s: all parts: %d requests, %d rows changed.",
            run.account,
            outcome["requests"],
            outcome["rows_changed"],
        )
        return outcome
