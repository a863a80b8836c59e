"""Says what is wrong with a key before anything else is tried, or what it will not see."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context

from opsgenie_provider.absence import WHOLE_ACCOUNT
from opsgenie_provider.api.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    PlanError,
)
from opsgenie_provider.api.opsgenie import OpsgenieClient
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.hooks.opsgenie import OpsgenieHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.base import Access


class OpsgenieValidateKeyOperator(BaseOperator):
    """Finds out what a key may read, and notes it in ``staging.opsgenie_keys``.

    Fails, with a sentence that names the remedy, where the key cannot read incidents at all:
    unknown or of the other region (401), a plan without incidents (402), no Read right (403).

    :param opsgenie_conn_id: the account's connection.
    :param postgres_conn_id: the warehouse.
    :returns: an ``Access``.
    """

    template_fields: Sequence[str] = ("opsgenie_conn_id", "postgres_conn_id", "max_requests_per_minute")
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        opsgenie_conn_id: str = "opsgenie_default",
        postgres_conn_id: str = "postgres_default",
        max_requests_per_minute: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.opsgenie_conn_id = opsgenie_conn_id
        self.postgres_conn_id = postgres_conn_id
        self.max_requests_per_minute = max_requests_per_minute

    def execute(self, context: Context) -> Access:
        hook = OpsgenieHook(
            opsgenie_conn_id=self.opsgenie_conn_id, max_requests_per_minute=self.max_requests_per_minute
        )
        try:
            access = self.access(hook.client, hook.settings().password or "")
        except ApiError:
            self.log.error("The key of the connection %r cannot read incidents.", self.opsgenie_conn_id)
            raise
        for note in access["notes"]:
            self.log.warning("%s: %s", self.opsgenie_conn_id, note)
        with warehouse(self.postgres_conn_id).connection() as connection:
            connection.execute(
                """
                insert into staging.opsgenie_keys as keys (account, key_reach, notes, checked_at)
                values (%s, %s, %s, now())
                on conflict (account) do update set
                    key_reach = excluded.key_reach, notes = excluded.notes, checked_at = now()
                """,
                (self.opsgenie_conn_id, access["reach"], access["notes"]),
            )
        self.log.info(
            "%s at %s: the key is valid; it sees %s.",
            self.opsgenie_conn_id,
            hook.base_url,
            "the whole account" if access["reach"] == WHOLE_ACCOUNT else "a part of the account",
        )
        return access

    def access(self, client: OpsgenieClient, key: str) -> Access:
        """Ask the account what this key may read."""
        try:
            client.incidents(limit=1, order="desc")
        except InvalidRequestError as error:
            # A key that is no UUID is refused with 422, not 401: nothing else here could be wrong.
            raise ConnectionSettingsError(
                f"{error} Check the password of the connection {self.opsgenie_conn_id!r}."
            ) from None
        notes: list[str] = []
        limits, whole_account = self._limits(client)
        if not whole_account:
            notes.append(
                "The key does not read the account's settings: it is a team's key, or lacks Configuration "
                "Access. A team's key lists only that team's incidents; use a key from API key management "
                "(Read and Configuration Access) to see all."
            )
        configuration = self._reads_services(client)
        if not configuration:
            notes.append(
                "The key may not read services: without Configuration Access, or with a team's key, the "
                "services, teams, users, schedules, escalations and timelines that it is refused are "
                "skipped. Incidents are synced."
            )
        # A name for "what this key sees" that tells two keys apart and gives neither away.
        reach = WHOLE_ACCOUNT if whole_account else f"key {hashlib.sha256(key.encode()).hexdigest()[:12]}"
        return Access(
            account=self.opsgenie_conn_id,
            reach=reach,
            configuration=configuration,
            limits={domain: [list(window) for window in windows] for domain, windows in limits.items()},
            notes=notes,
        )

    def _limits(self, client: OpsgenieClient) -> tuple[dict[str, list[tuple[int, float]]], bool]:
        """The account's rate limits, and whether the key is one of the whole account."""
        try:
            return client.request_limits(), True
        except AuthenticationError:
            raise
        except ApiError:
            # Not in the published reference: whatever it answers, the sync does without.
            self.log.info("The rate limits cannot be read with this key: they are learned from refusals.")
        try:
            client.account()
        except (PermissionDeniedError, NotFoundError):
            return {}, False
        return {}, True

    @staticmethod
    def _reads_services(client: OpsgenieClient) -> bool:
        try:
            client.service_count()
        except (PermissionDeniedError, PlanError, NotFoundError):
            return False
        return True
