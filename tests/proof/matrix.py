"""Which fault can strike which task. Every pair is either tried or has a reason here not to be."""

from __future__ import annotations

HTTP = ("429", "500", "drop", "cut_body", "hang")
WAREHOUSE = ("restart",)
FAULTS = (*HTTP, "kill", *WAREHOUSE, "disk_full", "skew")

# What a task has to do with the world around it; a test holds this against what the clean run did.
KINDS = {
    "computes": "its arguments and its output, in memory",
    "asks": "requests to a service",
    "looks": "statements that read the warehouse",
    "writes": "statements that write to the warehouse, few rows at a time",
    "builds": "statements that write much to the warehouse, without COPY",
    "asks and writes": "requests to a service, statements that write few rows at a time",
    "loads": "requests to a service, COPY into the warehouse",
    "relieves": "what sync does, for each of several accounts or for more than 50 repositories; here nothing",
}
TASKS = {
    "opsgenie_sync.sync": "loads",
    "opsgenie_sync.account": "relieves",
    "opsgenie_sync.publish": "computes",
    "opsgenie_sync.complete": "computes",
    "deployments_sync.sync": "loads",
    "deployments_sync.repositories": "relieves",
    "deployments_sync.publish": "computes",
    "deployments_sync.complete": "computes",
    "dora_metrics.refresh": "builds",
    "dora_report.report": "looks",
    "dora_report.notify": "computes",
    "pagerduty_migration.prepare": "builds",
    "pagerduty_migration.options": "computes",
    "pagerduty_migration.validate_keys": "asks",
    "pagerduty_migration.choose": "computes",
    "pagerduty_migration.extract": "loads",
    "pagerduty_migration.publish": "computes",
    "pagerduty_migration.plan": "writes",
    "pagerduty_migration.go_on": "computes",
    "pagerduty_migration.approve": "computes",
    "pagerduty_migration.canary": "asks and writes",
    "pagerduty_migration.import": "asks and writes",
    "pagerduty_migration.verify": "asks and writes",
    "pagerduty_migration.plan_undo": "looks",
    "pagerduty_migration.go_on_undo": "computes",
    "pagerduty_migration.approve_undo": "computes",
    "pagerduty_migration.undo": "asks and writes",
}
# The sync of an account that has moved from OpsGenie to Jira Service Management. What is one code for both
# is struck while it reads OpsGenie; a service's faults strike both readers.
MOVED = "opsgenie_sync.sync[jsm]"
# The tasks that ask what time it is, with the module of the package that does (``clocks.CLOCKS``).
CLOCK_OF = {
    "opsgenie_sync.sync": "sync.account",
    "deployments_sync.sync": "operators.deployments",
    "pagerduty_migration.extract": "sync.pagerduty",
    "pagerduty_migration.canary": "migration.search",
    "pagerduty_migration.import": "migration.search",
    "pagerduty_migration.verify": "migration.search",
}


def why_not(task: str, fault: str) -> str | None:
    """Why a fault cannot strike a task; None: it can, and is tried."""
    kind = TASKS[task]
    if kind == "relieves":
        return f"it does {KINDS[kind]}"
    if fault in HTTP and "asks" not in kind and kind != "loads":
        return f"it sends no request: {KINDS[kind]}"
    if fault == "skew" and task not in CLOCK_OF:
        return (
            "it does not ask what time it is: what it compares are the services' and the database's instants"
        )
    if kind == "computes" and fault != "skew":
        return f"nothing outside of its process is touched: {KINDS[kind]}"
    if fault == "restart" and kind == "asks":
        return f"it does not use the warehouse: {KINDS[kind]}"
    if fault == "disk_full" and kind not in ("loads", "builds"):
        return f"no COPY, and too few rows to need a new page of the disk: {KINDS[kind]}"
    return None


TRIED = [(task, fault) for task in TASKS for fault in FAULTS if why_not(task, fault) is None]
