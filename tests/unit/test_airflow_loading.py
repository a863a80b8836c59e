"""What Airflow does with the folders: plugins and DAGs, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DAGS = sorted(file.stem for file in (ROOT / "dags").glob("*.py"))

LOAD_PLUGINS = """
import importlib.metadata, json, sys
from pathlib import Path
folder = Path(sys.argv[1])
found = importlib.metadata.distribution

def without_the_package(name):
    if name.replace("_", "-") == "airflow-provider-opsgenie-dora":
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)

importlib.metadata.distribution = without_the_package
# The package as installed comes first; what the loader then adds is its own doing.
import opsgenie_provider.operators.opsgenie, opsgenie_provider.sync.account
before = dict(sys.modules)
from airflow import plugins_manager
names = [plugin["name"] for plugin in plugins_manager.get_plugin_info(["name"])]
print(json.dumps({
    "plugins": names.count("opsgenie_provider"),
    "errors": plugins_manager.get_import_errors(),
    "pages": [app["url_prefix"] for app in plugins_manager.get_fastapi_plugins()[0]
              if app["url_prefix"].startswith("/opsgenie")],
    "replaced": [name for name, module in before.items() if sys.modules.get(name) is not module],
    "executed": sorted(
        name for name, module in list(sys.modules.items())
        if "." not in name and str(getattr(module, "__file__", None) or "").startswith(str(folder))
        and name != "opsgenie_provider"
    ),
}))
"""

LOAD_DAGS = """
import builtins, json, socket, sqlite3, sys
calls = []

def forbidden(*args, **kwargs):
    calls.append(repr(args)[:200])
    raise AssertionError("no network while a DAG file is read")

socket.create_connection = socket.socket.connect = forbidden
sqlite3.connect = sqlite3.dbapi2.connect = forbidden
import psycopg
psycopg.connect = psycopg.Connection.connect = forbidden
read = builtins.open

def noted(file, *args, **kwargs):
    if "settings.yaml" in str(file) or str(file).endswith(".sql"):
        calls.append(str(file))
    return read(file, *args, **kwargs)

builtins.open = noted
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
dag = bag.dags["opsgenie_sync"]
print(json.dumps({
    "errors": bag.import_errors,
    "calls": calls,
    "dags": sorted(bag.dags),
    "params": {name: dag.params.get_param(name).value for name in dag.params},
    "catchup": dag.catchup,
    "tasks": {task.task_id: [task.retries, sorted(task.upstream_task_ids)] for task in dag.tasks},
}))
"""


# What takes long to import, and is imported where it is used.
HEAVY = {
    "aiohttp", "jsonschema", "msgspec", "psycopg", "pydantic_settings", "requests", "sqlalchemy", "yaml",
    "airflow.providers.http", "airflow.providers.postgres", "airflow.providers.common.sql",
}  # fmt: skip
COUNT_IMPORTS = """
import json, runpy, sys
from airflow.sdk import DAG, Asset, BaseOperator, Param, TriggerRule, task
from airflow.providers.standard.operators.empty import EmptyOperator
DAG, Asset, BaseOperator, Param, TriggerRule, task
imported = {}
for file in sys.argv[1:]:
    before = set(sys.modules)
    runpy.run_path(file)
    imported[file] = sorted(set(sys.modules) - before)
print(json.dumps(imported))
"""

LOAD_REFRESH = """
import json, sys
import opsgenie_provider.dora.refresh, opsgenie_provider.hooks.warehouse, opsgenie_provider.warehouse.schema
print(json.dumps([name for name in ("requests", "requests_toolbelt", "urllib3") if name in sys.modules]))
"""


def run(code: str, *arguments: str, cwd: Path) -> Any:
    """Run in a fresh interpreter, from elsewhere, with no connection set; returns what it prints last."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_CONN")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_plugin_loader_executes_nothing_but_the_plugin(tmp_path: Path) -> None:
    """And makes the page of the plugins folder alone, without an installed package."""
    loaded = run(LOAD_PLUGINS, str(ROOT / "plugins"), cwd=tmp_path)
    assert loaded == {
        "plugins": 1,
        "errors": {},
        "replaced": [],
        "executed": ["plugin"],
        "pages": ["/opsgenie_provider"],
    }


def test_dags_are_read_without_connections_database_or_network(tmp_path: Path) -> None:
    loaded = run(LOAD_DAGS, str(ROOT / "dags"), cwd=tmp_path)
    assert loaded["errors"] == {}
    assert loaded["calls"] == []
    assert loaded["dags"] == DAGS
    # As the contract names them.
    assert loaded["params"] == {"since": None, "until": None, "full_refresh": False, "history_days": 90}
    assert not loaded["catchup"]
    # Whatever may fail for a moment is tried again.
    assert {task for task, (retries, _) in loaded["tasks"].items() if retries < 2} == set()
    upstream = {task: before for task, (_, before) in loaded["tasks"].items()}
    assert upstream == {
        "sync": [],
        "account": ["sync"],
        "publish": ["account", "sync"],
        "complete": ["account", "publish", "sync"],
    }


def test_no_dag_file_imports_anything_heavy(tmp_path: Path) -> None:
    """The DAG processor imports it every half a minute, and each task once."""
    files = {dag_id: str(ROOT / "dags" / f"{dag_id}.py") for dag_id in DAGS}
    imported = run(COUNT_IMPORTS, *files.values(), cwd=tmp_path)
    for dag_id, file in files.items():
        assert f"opsgenie_provider.dags.{dag_id}" in imported[file]
        heavy = [name for name in imported[file] if any(f"{name}.".startswith(f"{each}.") for each in HEAVY)]
        assert heavy == [], dag_id


def test_the_refresh_imports_no_http_client(tmp_path: Path) -> None:
    """It asks no service, and a process of its own starts with each of its runs."""
    assert run(LOAD_REFRESH, cwd=tmp_path) == []


def test_a_copy_without_its_sql_is_an_import_error_that_names_the_remedy(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("plugins", "dags"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    code = "import runpy, sys; sys.path.insert(0, sys.argv[1]); runpy.run_path(sys.argv[2])"
    command = [sys.executable, "-c", code, str(tmp_path / "plugins"), str(tmp_path / "dags/dora_metrics.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "IncompleteInstallationError" in done.stderr
    assert "Copy the folder include/ next to plugins/" in done.stderr
