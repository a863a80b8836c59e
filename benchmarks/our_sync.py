"""Our sync of incidents, measured inside its task: plan, requests and COPY, in a fresh process.

The first run in an empty warehouse is the first sync; the next is an hourly one.
"""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from benchmarks.meter import report
from opsgenie_provider.api.concurrency import THREADS
from opsgenie_provider.hooks.opsgenie import OpsgenieHook
from opsgenie_provider.hooks.warehouse import open_warehouse
from opsgenie_provider.sync.incidents import IncidentSync, incident_subject
from opsgenie_provider.sync.key import Key
from opsgenie_provider.sync.opsgenie import OpsgenieReader
from opsgenie_provider.sync.plan import plan_account
from opsgenie_provider.sync.run import AccountRun, Params, Result
from opsgenie_provider.warehouse.progress import RunProgress
from opsgenie_provider.warehouse.schema import upgrade

ACCOUNT = "opsgenie_default"


def main() -> None:
    params = Params(history_days=int(sys.argv[1]))
    logging.disable(logging.CRITICAL)
    postgres = open_warehouse("postgres_default")
    upgrade(postgres)
    hook = OpsgenieHook(opsgenie_conn_id=ACCOUNT)
    client, password = hook.client, hook.airflow_connection().password or ""
    with ThreadPoolExecutor(THREADS) as executor, postgres.lock(ACCOUNT) as connection:
        reader = OpsgenieReader(client, account=ACCOUNT, key=password, executor=executor)
        key = Key(connection, ACCOUNT, reader)
        key.load_or_validate()
        progress = RunProgress(connection, ACCOUNT, "")
        now = datetime.now(UTC)
        run = AccountRun(ACCOUNT, reader, params, connection, executor, key, progress, now)
        subject = incident_subject(run)
        report(lambda: IncidentSync(run, plan_account(run, subject), subject).perform(Result()))
        progress.finish()


if __name__ == "__main__":
    main()
