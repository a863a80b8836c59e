"""Our sync of incidents, measured inside its tasks: the incidents operator's execute(), in a fresh process.

The first run in an empty warehouse is the first sync; the next is an hourly one.
"""

from __future__ import annotations

import logging
import sys

from benchmarks.meter import report
from opsgenie_provider.hooks.opsgenie import OpsgenieHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.incidents import OpsgenieIncidentsToPostgresOperator
from opsgenie_provider.operators.key import OpsgenieValidateKeyOperator
from opsgenie_provider.operators.plan import FULL_READ, plan_accounts
from opsgenie_provider.warehouse.schema import upgrade
from opsgenie_provider.warehouse.state import record_success


def main() -> None:
    days = int(sys.argv[1])
    logging.disable(logging.CRITICAL)
    postgres = warehouse("postgres_default")
    upgrade(postgres)
    validate = OpsgenieValidateKeyOperator(task_id="validate_key")
    OpsgenieHook().client  # noqa: B018  # not measured: imports and a session, which every task has
    access = validate.execute({})
    windows = plan_accounts([access], "postgres_default", history_days=days)
    operators = [OpsgenieIncidentsToPostgresOperator(task_id="incidents", **window) for window in windows]
    report(lambda: [operator.execute({}) for operator in operators] and None)
    # As the DAG's last task does, so that the next run is an hourly sync.
    if all(window["part_of"] for window in windows):
        with postgres.connection() as connection:
            record_success(connection, access["account"], FULL_READ, rows_changed=0)


if __name__ == "__main__":
    main()
