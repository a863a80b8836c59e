"""Our first sync, measured inside its tasks: the incidents operator's execute(), in a fresh process."""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from pathlib import Path

from opsgenie_provider.hooks.opsgenie import OpsgenieHook
from opsgenie_provider.hooks.warehouse import warehouse
from opsgenie_provider.operators.incidents import OpsgenieIncidentsToPostgresOperator
from opsgenie_provider.operators.key import OpsgenieValidateKeyOperator
from opsgenie_provider.operators.plan import plan_accounts
from opsgenie_provider.warehouse.schema import upgrade

SCHEMA = Path(__file__).resolve().parents[1] / "include" / "sql" / "schema"


def main() -> None:
    days = int(sys.argv[1])
    logging.disable(logging.CRITICAL)
    upgrade(warehouse("postgres_default"), SCHEMA)
    validate = OpsgenieValidateKeyOperator(task_id="validate_key")
    OpsgenieHook().client  # noqa: B018  # what every task has: imports, a session
    access = validate.execute({})
    windows = plan_accounts([access], "postgres_default", history_days=days)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, outcomes = 0.0, []
    for window in windows:
        operator = OpsgenieIncidentsToPostgresOperator(task_id="incidents", **window)
        started = time.perf_counter()
        outcomes.append(operator.execute({}))
        seconds += time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": seconds,
                "rows": sum(outcome["incidents"] for outcome in outcomes),
                "requests": sum(outcome["requests"] for outcome in outcomes),
                "megabytes": (peak - before) / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
