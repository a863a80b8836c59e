"""Finds out what is wrong with the keys of a migration before anything is done with them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Context

from opsgenie_provider.operators.migration_base import MigrationOperator


class ValidateMigrationKeysOperator(MigrationOperator):
    """Asks PagerDuty about the read key and, unless it is a dry run, OpsGenie about the import key.

    A dry run leaves the import key alone: it need not even exist. The right to write is found out by
    a request that can write nothing.

    :returns: the OpsGenie account's rate limits per domain.
    """

    ui_color = "#fff2cc"

    def perform(self, context: Context) -> dict[str, Any]:
        if not self.chosen.undo:
            self._check_pagerduty()
        if self.chosen.dry_run:
            self.log.info("A dry run: the import key %s is not used.", self.import_conn_id)
            return {"limits": {}}
        return {"limits": self._check_import_key()}

    def _check_pagerduty(self) -> None:
        from opsgenie_provider.hooks.pagerduty import PagerdutyHook

        hook = PagerdutyHook(pagerduty_conn_id=self.pagerduty_conn_id)
        hook.client.abilities()
        self.log.info("%s at %s: the key is valid.", self.pagerduty_conn_id, hook.base_url)

    def _check_import_key(self) -> dict[str, Any]:
        from opsgenie_provider.api.errors import InvalidRequestError, PermissionDeniedError
        from opsgenie_provider.hooks.base import ConnectionSettingsError

        name = self.import_conn_id
        try:
            self.writer.incidents(limit=1, order="desc")
        except InvalidRequestError as error:
            # A key that is no UUID is refused with 422: nothing else in this request could be wrong.
            raise ConnectionSettingsError(
                f"{error} The password of the connection {name!r} is no OpsGenie API key."
            ) from None
        except PermissionDeniedError as error:
            raise ConnectionSettingsError(
                f"{error} The import reads back what it wrote: the key of the connection {name!r} needs Read."
            ) from None
        limits = self._limits()
        if not self.writer.may_write():
            raise ConnectionSettingsError(
                f"The key of the connection {name!r} may not write: it needs Read, and Create and Update"
                f"{' and Delete' if self.chosen.undo else ''}. Nothing was written."
            )
        self.log.info("%s at %s: the key may write.", name, self.import_hook.base_url)
        return limits

    def _limits(self) -> dict[str, Any]:
        """The account's rate limits, where the key may read them.

        :raises ConnectionSettingsError: it is a team's key: it would not see what it has imported.
        """
        from opsgenie_provider.api.errors import NotFoundError, PermissionDeniedError, PlanError
        from opsgenie_provider.api.limits import limits_to_json
        from opsgenie_provider.hooks.base import ConnectionSettingsError

        try:
            found = self.writer.request_limits()
        except (PermissionDeniedError, NotFoundError, PlanError) as error:
            if "team" in str(error.message).lower():
                raise ConnectionSettingsError(
                    f"The key of the connection {self.import_conn_id!r} belongs to a team and would not see "
                    "the incidents that it imports: use a key of the whole account, with Read, and Create "
                    "and Update."
                ) from None
            self.log.info("The rate limits cannot be read with this key: they are learned from refusals.")
            return {}
        return limits_to_json(found)
