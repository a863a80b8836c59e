"""Airflow's command line, several commands in one process: starting it takes seconds for each.

``python airflow_commands.py '["db", "migrate"]' '["dags", "test", "dora_metrics"]'``
"""

from __future__ import annotations

import json
import sys
from functools import cache

from airflow.__main__ import main
from airflow.sdk.execution_time import supervisor

# Airflow 3.3 does so itself; before, it builds its API again for each task, which takes seconds.
if not hasattr(supervisor.in_process_api_server, "cache_clear"):
    supervisor.in_process_api_server = cache(supervisor.in_process_api_server)

for command in sys.argv[1:]:
    sys.argv = ["airflow", *json.loads(command)]
    main()
