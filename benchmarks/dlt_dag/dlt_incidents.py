"""The DAG that ours are compared with: one task, which runs dlt's source inside the task's process."""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

with DAG(
    dag_id="dlt_incidents",
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    params={"first": Param(False, type="boolean"), "since": Param(0, type="number")},
) as dag:

    @task
    def sync(params: dict[str, object]) -> None:
        import os
        import sys
        import time

        # What dlt needs besides Airflow's own packages, whose versions come first.
        sys.path.append(os.environ["BENCH_DLT_PACKAGES"])
        from benchmarks.rivals.dlt_sync import run

        url, key, conninfo, directory = (
            os.environ[f"BENCH_{name}"] for name in ("URL", "KEY", "WAREHOUSE", "DIRECTORY")
        )
        since = float(str(params["since"]))
        run(url, key, conninfo, directory, is_first=params["first"] is True, since=since, until=time.time())

    sync()
