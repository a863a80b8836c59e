"""What tests of several directories share: databases, stand-ins, worlds, runs of DAGs, processes, faults."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
