"""The one hook that may write to OpsGenie, for the import of a migration."""

from __future__ import annotations

from functools import cached_property

from opsgenie_provider.api.limits import RateLimiter
from opsgenie_provider.api.opsgenie_writes import OpsgenieWriter
from opsgenie_provider.hooks.opsgenie import OpsgenieHook

# Most of an incident's way through OpsGenie is waiting for its queue.
IMPORT_THREADS = 24


class OpsgenieImportHook(OpsgenieHook):
    """Writes incidents with the import key; the other parameters are those of ``OpsgenieHook``.

    :param opsgenie_conn_id: the connection of the key that may write, used for nothing else.
    """

    default_conn_name = "opsgenie_import"
    threads = IMPORT_THREADS

    @cached_property
    def client(self) -> OpsgenieWriter:
        """The client; made on first use, with one session for all threads."""
        session = self.get_conn()
        key = self.airflow_connection().password or ""
        return OpsgenieWriter(session, self.base_url, key, limiter=RateLimiter(self._limits))
