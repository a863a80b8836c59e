"""The lists of a site that others refer to by id, each read once in a run, and the names in them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Generic, TypeVar

from msgspec import Raw

from opsgenie_provider.absence import is_fact
from opsgenie_provider.api.errors import (
    UNREADABLE_ERRORS,
    AuthenticationError,
    PermissionDeniedError,
    PlanError,
)
from opsgenie_provider.api.jsm import JsmClient
from opsgenie_provider.api.jsm_dialect import refused_to_this_account
from opsgenie_provider.api.listing import Listing, read_whole
from opsgenie_provider.rows.directory import Directory
from opsgenie_provider.rows.fields import UnreadablePayloadError, decode, required_text
from opsgenie_provider.rows.jsm_configuration import (
    directory_of,
    people_in_escalation,
    people_in_schedule,
)
from opsgenie_provider.rows.jsm_on_call import people_in_timeline

log = logging.getLogger(__name__)
T = TypeVar("T")


class LazyValue(Generic[T]):
    """A value that is read when a thread first needs it; an error is raised again to whoever asks later."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._value: Future[T] = Future()

    def get(self) -> T:
        """The value, once it is read."""
        with self._lock:
            if not self._value.done():
                try:
                    self._value.set_result(self._read())
                except Exception as error:
                    self._value.set_exception(error)
        return self._value.result()


class SiteNames:
    """Teams, schedules, escalation policies and users of a site. Safe to use from several threads.

    :ivar team_of: the payload of each escalation policy -> the id of its team, which it does not name.
    :ivar stored: the names that are stored, for what these credentials do not see.
    :ivar reach: what they see, as in ``absence``.
    """

    def __init__(self, client: JsmClient) -> None:
        self._client = client
        self.team_of: dict[bytes, str] = {}
        self.teams = LazyValue(lambda: Listing(self.call_operations(client.operations.teams), complete=True))
        self.schedules = LazyValue(
            lambda: self.call_operations(lambda: read_whole(client.operations.schedules, "schedules"))
        )
        self.escalations = LazyValue(lambda: self.call_operations(self._escalations))
        self.stored, self.reach = Directory(), ""
        self._users: dict[str, Raw | None] = {}
        self._users_lock = threading.Lock()
        self._are_users_refused = False
        self._directory: Directory | None = None

    def call_operations(self, read: Callable[[], T]) -> T:
        """What a read of Operations or services returns.

        :raises PermissionDeniedError: the credentials are valid, but not accepted here.
        """
        try:
            return read()
        except AuthenticationError as error:
            self.check_credentials()
            raise refused_to_this_account(error) from error

    def check_credentials(self) -> None:
        """Check that the credentials are still valid: Jira takes invalid ones for nobody's, and answers with
        shorter lists.

        :raises AuthenticationError: they are not.
        """
        try:
            self._client.jira.myself()
        except PermissionDeniedError:
            # A valid token without the scope for users.
            log.debug("The token has no scope for users.")

    def look_up(self, account_ids: Iterable[str]) -> None:
        """Look up users who are not known yet."""
        with self._users_lock:
            wanted = set(account_ids) - self._users.keys()
            if not wanted:
                return
            found = dict[str, Raw | None].fromkeys(wanted)
            for raw in self._client.jira.users(wanted):
                try:
                    found[required_text(decode(raw), "accountId")] = raw
                except UnreadablePayloadError:
                    found[f"unreadable {len(found)}"] = raw
            self._users |= found
            self._directory = None

    def users(self) -> list[Raw]:
        """The payloads of the users met so far."""
        with self._users_lock:
            return [raw for raw in self._users.values() if raw is not None]

    def look_up_in_timelines(self, timelines: Iterable[Raw]) -> None:
        """Look up whoever is on call in these timelines."""
        self._look_up_if_allowed({person for raw in timelines for person in people_in_timeline(raw)})

    def directory(self) -> Directory:
        """The names of everything that schedules, timelines and escalation policies refer to.

        What these credentials do not see has the name that is stored.
        """
        if self._directory is None:
            schedules, escalations = _readable(self.schedules), _readable(self.escalations)
            people = {person for raw in schedules for person in people_in_schedule(raw)}
            people |= {person for raw in escalations for person in people_in_escalation(raw)}
            self._look_up_if_allowed(people)
            self._directory = self._with_stored(
                directory_of(
                    users=self.users(),
                    teams=_readable(self.teams),
                    schedules=schedules,
                    escalations=escalations,
                )
            )
        return self._directory

    def _with_stored(self, read: Directory) -> Directory:
        """The names with those that are stored of what may be there unseen."""
        lists = {"teams": self.teams, "schedules": self.schedules, "escalations": self.escalations}
        hidden = [kind for kind, listing in lists.items() if not self._is_whole(listing)]
        if self._are_users_refused:
            hidden.append("users")
        names = {kind: {**getattr(self.stored, kind), **getattr(read, kind)} for kind in hidden}
        return replace(read, **names)

    def _is_whole(self, listing: LazyValue[Listing]) -> bool:
        """Whether a list is known to hold everything that is there."""
        try:
            return is_fact(reach=self.reach, complete=listing.get().complete)
        except (*UNREADABLE_ERRORS, PlanError):
            return False

    def _look_up_if_allowed(self, account_ids: Iterable[str]) -> None:
        try:
            self.look_up(account_ids)
        except PermissionDeniedError as error:
            self._are_users_refused = True
            self._directory = None
            log.warning("Cannot read users; only those that are stored have names. %s", error)

    def _escalations(self) -> Listing:
        """The escalation policies of all teams. Those of a team that answers 403 or 404 are kept as they are
        stored: neither says that they were deleted, see ``absence``.
        """
        found: dict[bytes, Raw] = {}
        complete = True
        for raw in self.teams.get().items:
            try:
                team_id = required_text(decode(raw), "teamId")
            except UnreadablePayloadError:
                # The list of teams rejects it.
                complete = False
                continue
            try:
                listing = read_whole(
                    lambda team_id=team_id: self._client.operations.escalations(team_id),  # type: ignore[misc]
                    f"escalation policies of team {team_id}",
                )
            except UNREADABLE_ERRORS as error:
                log.warning(
                    "Cannot read the escalation policies of team %s; those stored are kept. %s",
                    team_id,
                    error,
                )
                complete = False
                continue
            complete = complete and listing.complete
            self.team_of |= {bytes(policy): team_id for policy in listing.items}
            found |= {bytes(policy): policy for policy in listing.items}
        return Listing(list(found.values()), complete)


def _readable(listing: LazyValue[Listing]) -> list[Raw]:
    try:
        return listing.get().items
    except (*UNREADABLE_ERRORS, PlanError):
        return []
