"""What comparing syncs needs: the local API in a process of its own, and what a client's process took."""

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
    """The stand-in's address, and how slow and how strict it is.

    :param latency_ms: added to every answer.
    :param limit: (requests a minute, requests a second), or None.
    """

    url: str
    latency_ms: int = 0
    limit: tuple[int, int] | None = None

    def steer(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=600)
        answer.raise_for_status()
        return answer.json()

    def ready(self) -> None:
        """As slow and strict as it is to be, with full buckets and an empty log."""
        self.steer("POST", "faults", {"latency_ms": self.latency_ms})
        windows = {} if self.limit is None else {"60": self.limit[0], "1": self.limit[1]}
        self.steer("PUT", "limits", {"Incident": windows} if windows else {})
        self.steer("DELETE", "requests")

    def counts(self) -> tuple[int, int]:
        """Requests since ``ready``, and how many of them were refused with 429."""
        counts = self.steer("GET", "requests")["counts"]
        return counts.get("total", 0), counts.get("status:429", 0)

    def incidents(self) -> dict[str, datetime]:
        """What there is, at full speed: each id with its updatedAt."""
        self.steer("POST", "faults", {"latency_ms": 0})
        self.steer("DELETE", "limits")
        now = int(time.time() * 1000)
        rows = bare_reader.read(self.url, SYNC_KEY, now - DAYS * 86_400_000, now + 60_000)
        return {row[0]: row[5] for row in rows}

    def change(self, edited: list[str], new: int) -> list[str]:
        """Edit some incidents, open others now; returns the ids of the new ones."""
        message = f"Edited at {time.time()}"
        for id_ in edited:
            self.steer("POST", "incidents", {"action": "edit", "id_": id_, "message": message})
        made = [str(uuid.uuid4()) for _ in range(new)]
        for id_ in made:
            self.steer("POST", "incidents", {"action": "add", "id": id_, "message": "Opened meanwhile"})
        return made

    def undo(self, edited: Mapping[str, datetime], made: list[str]) -> None:
        """Take a change back: no incident is new, and none was updated lately."""
        for id_, updated_at in edited.items():
            edit = {"action": "edit", "id_": id_, "updated_at": updated_at.isoformat()}
            self.steer("POST", "incidents", edit)
        for id_ in made:
            self.steer("POST", "incidents", {"action": "delete", "id_": id_})


@contextmanager
def api(incidents: int, latency_ms: int, limit: tuple[int, int] | None = None) -> Iterator[Api]:
    """The stand-in in a process of its own, with that many incidents in the past 90 days."""
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
    """What a client's process took.

    :param seconds: the sync, once the process has its imports.
    :param cpu: of the same, with its children.
    :param start: the seconds before and after: interpreter, imports, connections.
    :param megabytes: the most memory that the process had, imports included.
    :param problem: what went wrong, if anything.
    """

    seconds: float = 0
    cpu: float = 0
    start: float = 0
    megabytes: float = 0
    problem: str | None = None


def measured(command: list[str], env: Mapping[str, str]) -> Took:
    """Run a client in a process of its own."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True)
    whole = time.perf_counter() - started
    if done.returncode:
        return Took(seconds=whole, problem=f"failed: ...{' '.join(done.stderr.split())[-300:]}")
    took = Took(**json.loads(done.stdout.splitlines()[-1]))
    return replace(took, start=whole - took.seconds)
