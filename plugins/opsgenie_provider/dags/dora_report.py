"""The metrics of the last week as one HTML file, for people without an Airflow login.

Runs on Mondays, or by hand for any period. **report** writes the file to the setting `report_path`, a
directory on disk or in an object store; **notify** hands a summary to each of the setting `notifiers`. The
warehouse is only read.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from opsgenie_provider.operators.report import NotifyOperator, WriteReportOperator
from opsgenie_provider.operators.retry import retry_arguments


def dora_report() -> DAG:
    """The DAG ``dora_report``."""
    with DAG(
        dag_id="dora_report",
        description="The metrics of a period as one HTML file, and a summary to your notifiers",
        doc_md=__doc__,
        schedule="0 6 * * 1",
        catchup=False,
        max_active_runs=1,
        tags=["dora"],
        default_args=retry_arguments(),
        params={
            "since": Param(
                None, type=["null", "string"], description="From when on; else the last whole week"
            ),
            "until": Param(None, type=["null", "string"], description="Up to, and without, when"),
        },
    ) as dag:
        report = WriteReportOperator(
            task_id="report", since="{{ params.since or '' }}", until="{{ params.until or '' }}"
        )
        NotifyOperator.partial(task_id="notify").expand_kwargs(report.output)
    return dag
