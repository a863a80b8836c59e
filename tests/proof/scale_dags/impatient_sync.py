"""dags/opsgenie_sync.py with shorter waits between tries: a DAG file for the Airflow of test_scale_out.py."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

dag = runpy.run_path(str(ROOT / "dags" / "opsgenie_sync.py"))["dag"]
dag.fileloc = __file__
for task in dag.tasks:
    if task.is_mapped:
        task.partial_kwargs["retry_delay"] = timedelta(seconds=1)
    else:
        task.retry_delay = timedelta(seconds=1)
