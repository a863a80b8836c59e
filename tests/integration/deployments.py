"""What tests of deployments share: a repository, instants, and the rows that came out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.postgres import Warehouse

REPOSITORY = "acme/checkout-app"
NOW = datetime.now(UTC).replace(microsecond=0)
Read = Callable[..., dict[str, Any]]


def ago(**delta: float) -> str:
    return (NOW - timedelta(**delta)).isoformat().replace("+00:00", "Z")


def stored(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    return {row["deployment_id"]: row for row in warehouse.table("deployments")}
