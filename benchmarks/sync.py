"""First sync of incidents against a bare reader, over the same local API at several latencies."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests

from sandbox.opsgenie.store import SYNC_KEY

ROOT = Path(__file__).resolve().parents[1]
DAYS = 90


@contextmanager
def api(incidents: int, latency_ms: int) -> Iterator[str]:
    """The stand-in in a process of its own, with that many incidents in the past 90 days."""
    port_file = ROOT / ".run" / f"bench-{os.getpid()}.json"
    port_file.parent.mkdir(exist_ok=True)
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sandbox", "--ports-file", str(port_file), "--only", "opsgenie"]
    options = ["--bulk", str(incidents), "--days", str(DAYS - 1), "--latency-ms", str(latency_ms)]
    child = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
    try:
        while not port_file.exists():
            if child.poll() is not None:
                raise RuntimeError("the stand-in did not start")
            time.sleep(0.05)
        yield str(json.loads(port_file.read_text())["opsgenie"])
    finally:
        child.terminate()
        child.wait()
        port_file.unlink(missing_ok=True)


def measured(command: list[str], env: dict[str, str]) -> dict[str, Any]:
    """What a benchmark process says of itself."""
    done = subprocess.run([sys.executable, *command], env=os.environ | env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def connections(conninfo: str, url: str) -> dict[str, str]:
    """The environment of a process that runs our tasks."""
    fields = psycopg.conninfo.conninfo_to_dict(conninfo)
    postgres = {
        "conn_type": "postgres",
        "host": fields["host"],
        "login": "postgres",
        "schema": fields["dbname"],
    }
    opsgenie = {"conn_type": "opsgenie_api", "host": url, "password": SYNC_KEY}
    return {
        "AIRFLOW_CONN_POSTGRES_DEFAULT": json.dumps(postgres),
        "AIRFLOW_CONN_OPSGENIE_DEFAULT": json.dumps(opsgenie),
    }


def empty(conninfo: str) -> None:
    """Forget what a run before has loaded."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("drop schema if exists staging, dora, migration, schema_history cascade")
        connection.execute("drop table if exists bare")


def compare(conninfo: str, incidents: int, latency_ms: int, repeats: int) -> dict[str, Any]:
    """Medians of both readers on the same data in turns, and their ratio."""
    bare, ours = [], []
    with api(incidents, latency_ms) as url:
        until = int(time.time() * 1000)
        window = [str(until - DAYS * 86_400_000), str(until)]
        for _ in range(repeats):
            empty(conninfo)
            bare.append(measured(["-m", "benchmarks.bare_reader", url, SYNC_KEY, conninfo, *window], {}))
            ours.append(measured(["-m", "benchmarks.our_sync", str(DAYS)], connections(conninfo, url)))
    assert all(each["rows"] == incidents for each in [*bare, *ours]), (bare, ours)
    bare_seconds, our_seconds = (statistics.median(e["seconds"] for e in each) for each in (bare, ours))
    return {
        "incidents": incidents,
        "latency ms": latency_ms,
        "bare reader s": round(bare_seconds, 2),
        "first sync s": round(our_seconds, 2),
        "ratio": round(our_seconds / bare_seconds, 2),
        "requests": ours[-1]["requests"],
        "memory MB": round(max(each["megabytes"] for each in ours), 1),
    }


def under_limit(conninfo: str, incidents: int, per_minute: int, per_second: int) -> dict[str, Any]:
    """The first sync against what a rate limit allows: so many requests, so many a second."""
    with api(incidents, 20) as url:
        limits = {"Incident": {"60": per_minute, "1": per_second}}
        requests.put(f"{url}/_sandbox/limits", json=limits, timeout=60).raise_for_status()
        empty(conninfo)
        ours = measured(["-m", "benchmarks.our_sync", str(DAYS)], connections(conninfo, url))
        log = requests.get(f"{url}/_sandbox/requests", params={"path": "/v1/incidents"}, timeout=60).json()
    refused = sum(1 for each in log["requests"] if each["status"] == 429)
    allowed = ours["requests"] / per_second
    return {
        "incidents": incidents,
        "limit": f"{per_minute}/min, {per_second}/s",
        "allowed s": round(allowed, 1),
        "first sync s": round(ours["seconds"], 1),
        "ratio": round(ours["seconds"] / allowed, 2),
        "429s %": round(100 * refused / ours["requests"], 1),
    }
