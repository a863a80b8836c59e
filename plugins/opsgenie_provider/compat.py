"""What differs between the supported versions of Airflow; no other module depends on a version.

Each part names the version from which Airflow needs no workaround, and can go when that is the lowest
supported version.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from packaging.version import Version

# Airflow 3.2: exceptions for DAG authors are in airflow.sdk.
try:
    from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowSkipException
except ImportError:
    from airflow.exceptions import (  # type: ignore[attr-defined,no-redef]
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )

# Airflow 3.3: retry policies. `operators/retry.py` does their work before.
try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:
    RetryDecision = RetryPolicy = None  # type: ignore[assignment,misc]

# Airflow 3.2: the factor of the backoff between retries is a number; before, only whether there is one.
# (Task SDK 1.n comes with Airflow 3.n.)
RETRY_EXPONENTIAL_BACKOFF: Any = 2 if Version(version("apache-airflow-task-sdk")) >= Version("1.2") else True


def asset_key(name: str, uri: str) -> Any:
    """The key by which Airflow's asset manager knows an asset."""
    # Airflow 3.2: a key of the scheduler's own.
    try:
        from airflow.serialization.definitions.assets import SerializedAssetUniqueKey
    except ImportError:
        from airflow.sdk.definitions.asset import AssetUniqueKey

        return AssetUniqueKey(name=name, uri=uri)
    return SerializedAssetUniqueKey(name=name, uri=uri)


__all__ = [
    "RETRY_EXPONENTIAL_BACKOFF",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "RetryDecision",
    "RetryPolicy",
    "asset_key",
]
