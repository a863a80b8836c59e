from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from airflow.sdk import RetryAction

from opsgenie_provider.api.errors import (
    ApiConnectionError,
    CrowdedSecondError,
    ForeignHostError,
    InvalidResponseError,
    error_class,
)
from opsgenie_provider.compat import AirflowFailException
from opsgenie_provider.hooks.base import ConnectionSettingsError
from opsgenie_provider.operators import retry
from opsgenie_provider.operators.retry import ApiRetryPolicy
from opsgenie_provider.settings import InvalidSettingsError
from opsgenie_provider.sync.account import PartsFailedError
from opsgenie_provider.warehouse.connection import WarehouseUnavailableError


def answered(status: int, retry_after: float | None = None) -> Exception:
    return error_class(status)(
        status=status, message="m", service="OpsGenie", request="GET /x", retry_after=retry_after
    )


def decide(error: BaseException) -> Any:
    return ApiRetryPolicy().evaluate(error, try_number=1, max_tries=3)


def parts_failed(**errors: Exception) -> Exception:
    return PartsFailedError("an account", errors, {})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "error",
    [
        *(answered(status) for status in (302, 400, 401, 402, 403, 404, 405, 410, 422)),
        ForeignHostError("elsewhere"),
        CrowdedSecondError("full"),
        InvalidSettingsError("tiers"),
        ConnectionSettingsError("no password"),
        ValueError("since"),
        psycopg.errors.InsufficientPrivilege("no"),
        psycopg.errors.UndefinedTable("no"),
        psycopg.errors.ProgramLimitExceeded("index row size"),
        parts_failed(key=answered(401), incidents=ValueError("since")),
    ],
)
def test_permanent_errors_fail_at_once(error: Exception) -> None:
    assert decide(error).action is RetryAction.FAIL


@pytest.mark.parametrize(
    "error",
    [
        ApiConnectionError("reset"),
        InvalidResponseError("cut off"),
        WarehouseUnavailableError("restarting"),
        psycopg.OperationalError("server closed the connection"),
        psycopg.errors.AdminShutdown("terminating"),
        psycopg.errors.DeadlockDetected("deadlock"),
        RuntimeError("who knows"),
    ],
)
def test_transient_errors_are_left_to_the_task_s_own_retries(error: Exception) -> None:
    assert decide(error).action is RetryAction.DEFAULT


@pytest.mark.parametrize(
    ("status", "retry_after", "delay"),
    [
        (429, 30.0, timedelta(seconds=30)),
        (429, None, None),
        (503, 120.0, timedelta(minutes=2)),
        (500, None, None),
        (408, None, None),
    ],
)
def test_waits_as_long_as_the_service_says(
    status: int, retry_after: float | None, delay: timedelta | None
) -> None:
    decision = decide(answered(status, retry_after))
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, delay)
    assert decision.reason == f"OpsGenie answered {status}"


def test_where_parts_failed_another_try_is_made_for_those_that_may_succeed() -> None:
    """And it waits as long as any of them was asked to."""
    failed = parts_failed(on_call=answered(403), incidents=answered(500), catalogue=answered(429, 40))
    decision = decide(failed)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=40)
    assert decision.reason == "OpsGenie answered 429, OpsGenie answered 500"


def test_without_retry_policies_permanent_errors_fail_and_requested_waits_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow 3.1 and 3.2 ask no policy."""
    waited: list[float] = []
    monkeypatch.setattr(retry, "RetryPolicy", None)
    monkeypatch.setattr(retry.time, "sleep", waited.append)
    with pytest.raises(AirflowFailException, match="OpsGenie answered 401"):
        retry.apply_without_policy(answered(401))
    for error in (answered(429, 30.0), answered(503), RuntimeError("who knows")):
        retry.apply_without_policy(error)
    assert waited == [30.0]
