"""Bring OpsGenie, or Jira Service Management in its place, into the warehouse, every hour.

1. **sync** checks the settings, creates or upgrades the tables, and reads the account of
   `include/settings.yaml`, part by part. Once a day, and wherever that may have changed, it finds out
   what the account's **key** may read. **catalogue** is services, teams and users, **escalations** the
   escalation policies, **on_call** schedules, rotations and who is on call, from 90 days back to two weeks
   ahead. **incidents**: the first run and one run a day read the whole history (90 days or more) and find
   deletions; the others read what is new, a trailing window, and what is open or changed lately before
   it. **timelines** of incidents that changed say when they were acknowledged, resolved and closed. Jira
   Service Management lists what changed, and once a day the ids of all; timelines come with the incidents,
   and **users** are looked up last, those that the others refer to.
   Accounts whose alerts are the incidents (`alert_accounts`) have **alerts** and their **details** in place
   of incidents and timelines.
2. **account** reads an account in the same way, where the settings name several: these are read side by
   side, each by a task of its own, and `sync` leaves them all to these tasks.
3. **publish** sums up and starts `dora_metrics` after several accounts, and also where an account failed.
   A `sync` that has read its account and succeeds starts `dora_metrics` itself.

What is not needed is skipped, and takes no process: in most hours `sync` is all that runs.

A part that fails does not keep the others from being read: the task fails at its end and names each of
them, and another try reads only what is missing. **complete** takes no process: it fails with the run.

Every task may be killed, repeated or run beside itself: nothing is lost and nothing doubles.
"""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param, TriggerRule

from opsgenie_provider.assets import OPSGENIE_STAGING
from opsgenie_provider.operators.opsgenie import SyncAccountOperator, SyncAccountsOperator
from opsgenie_provider.operators.publish import PublishSyncOperator
from opsgenie_provider.operators.retry import retry_arguments


def opsgenie_sync() -> DAG:
    """The DAG ``opsgenie_sync``."""
    with DAG(
        dag_id="opsgenie_sync",
        description="Incidents and on-call of OpsGenie or Jira Service Management into PostgreSQL",
        doc_md=__doc__,
        schedule="@hourly",
        catchup=False,
        max_active_runs=1,
        tags=["opsgenie", "dora"],
        default_args=retry_arguments(),
        params={
            "since": Param(None, type=["null", "string"], description="Only what was created from here on"),
            "until": Param(None, type=["null", "string"], description="Only what was created before this"),
            "full_refresh": Param(False, type="boolean", description="Read the whole history again"),
            "history_days": Param(
                90, type="integer", minimum=1, description="How far the first run goes back"
            ),
        },
    ) as dag:
        sync = SyncAccountsOperator(task_id="sync", outlets=[OPSGENIE_STAGING])
        account = SyncAccountOperator.partial(
            task_id="account", map_index_template="{{ task.account }}"
        ).expand_kwargs(sync.output)
        # Airflow marks an asset as updated only for a task that succeeds. Where sync has read all and
        # succeeded, `account` is skipped, and so is this.
        publish = PublishSyncOperator(
            task_id="publish", outlets=[OPSGENIE_STAGING], trigger_rule=TriggerRule.NONE_SKIPPED
        )
        # The run is as its last task: this one fails where anything before it did. The scheduler sets its
        # state by itself, as there is nothing to execute.
        complete = EmptyOperator(task_id="complete", trigger_rule=TriggerRule.NONE_FAILED)
        [sync, account] >> publish
        [sync, account, publish] >> complete
    return dag
