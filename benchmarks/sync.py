"""Runs the local API in a separate process, and measures a client's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from benchmarks import bare_reader
from sandbox.opsgenie.store import SYNC_KEY

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "include" / "sql" / "schema"
DAYS = 90
LATENCY_UNDER_LIMIT_MS = 20


@dataclass
class Api:
    """A running stand-in of OpsGenie.

    :param latency_ms: added to every answer.
    :param limit: (requests per minute, requests per second), or None.
    """

    url: str
    latency_ms: int = 0
    limit: tuple[int, int] | None = None

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the stand-in's control API."""
        answer = requests.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=600)
        answer.raise_for_status()
        return answer.json()

    def ready(self) -> None:
        """Apply latency and limits, with full buckets and an empty log."""
        self.control("POST", "faults", {"latency_ms": self.latency_ms})
        windows = {} if self.limit is None else {"60": self.limit[0], "1": self.limit[1]}
        self.control("PUT", "limits", {"Incident": windows} if windows else {})
        self.control("DELETE", "requests")

    def counts(self) -> tuple[int, int]:
        """Requests since ``ready``, and how many of them were refused with 429."""
        counts = self.control("GET", "requests")["counts"]
        return counts.get("total", 0), counts.get("status:429", 0)

    def incidents(self) -> dict[str, datetime]:
        """Id -> updatedAt of all incidents, read without latency and limits."""
        self.control("POST", "faults", {"latency_ms": 0})
        self.control("DELETE", "limits")
        now = int(time.time() * 1000)
        rows = bare_reader.read(self.url, SYNC_KEY, now - DAYS * 86_400_000, now + 60_000)
        return {row[0]: row[5] for row in rows}

    def change(self, edited: list[str], new: int) -> list[str]:
        """Edit some incidents and open others now; returns the ids of the new incidents."""
        message = f"Edited at {time.time()}"
        for id_ in edited:
            self.control("POST", "incidents", {"action": "edit", "id_": id_, "message": message})
        added = [str(uuid.uuid4()) for _ in range(new)]
        for id_ in added:
            self.control("POST", "incidents", {"action": "add", "id": id_, "message": "Opened meanwhile"})
        return added

    def undo(self, edited: Mapping[str, datetime], added: list[str]) -> None:
        """Revert a change: delete the new incidents and reset the update times."""
        for id_, updated_at in edited.items():
            edit = {"action": "edit", "id_": id_, "updated_at": updated_at.isoformat()}
            self.control("POST", "incidents", edit)
        for id_ in added:
            self.control("POST", "incidents", {"action": "delete", "id_": id_})


@contextmanager
def api(incidents: int, latency_ms: int, limit: tuple[int, int] | None = None) -> Iterator[Api]:
    """The stand-in in a separate process, with a number of incidents in the past 90 days."""
    with tempfile.TemporaryDirectory(prefix="bench") as directory:
        ports = Path(directory) / "ports.json"
        command = [sys.executable, "-m", "sandbox", "--ports-file", str(ports), "--only", "opsgenie"]
        options = ["--bulk", str(incidents), "--days", str(DAYS - 1)]
        child = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        try:
            while not ports.exists():
                if child.poll() is not None:
                    raise RuntimeError("the stand-in did not start")
                time.sleep(0.05)
            yield Api(json.loads(ports.read_text())["opsgenie"], latency_ms, limit)
        finally:
            child.terminate()
            child.wait()


@dataclass(frozen=True)
class Took:
    """The cost of a client's process.

    :param seconds: of the sync, without start and imports of the process.
    :param cpu: CPU seconds of the sync, including child processes.
    :param start: seconds before and after the sync: interpreter, imports, connections.
    :param megabytes: peak memory of the process, including imports.
    :param problem: what went wrong, if anything.
    """

    seconds: float = 0
    cpu: float = 0
    start: float = 0
    megabytes: float = 0
    problem: str | None = None


def measured(command: list[str], env: Mapping[str, str]) -> Took:
    """Run a client in a separate process."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True)
    whole = time.perf_counter() - started
    if done.returncode:
        return Took(seconds=whole, problem=f"failed: ...{' '.join(done.stderr.split())[-300:]}")
    took = Took(**json.loads(done.stdout.splitlines()[-1]))
    return replace(took, start=whole - took.seconds)
