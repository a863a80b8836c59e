"""Which failures are worth another try of the task, and when."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from opsgenie_provider.compat import (
    RETRY_EXPONENTIAL_BACKOFF,
    AirflowFailException,
    RetryDecision,
    RetryPolicy,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

# How long a task waits by itself where Airflow has no retry policy, as the service asked it to.
_LONGEST_WAIT = 900.0


def is_permanent(error: BaseException) -> bool:
    """Whether another try would fail in the same way.

    401, 402, 403, 404, 422, settings and params (``ValueError``) and what the warehouse refuses are for a
    person to fix. The rest (429, 5xx, lost connections, a warehouse that restarts) is transient.
    """
    import psycopg

    from opsgenie_provider.api.errors import (
        ApiStatusError,
        CrowdedSecondError,
        ForeignHostError,
        UnknownSiteError,
    )
    from opsgenie_provider.sync.account import PartsFailedError

    if isinstance(error, PartsFailedError):
        return all(map(is_permanent, error.errors.values()))
    permanent = (
        ApiStatusError,
        CrowdedSecondError,
        ForeignHostError,
        UnknownSiteError,
        ValueError,
        psycopg.DatabaseError,
    )
    if _asks_for_patience(error) or isinstance(error, psycopg.OperationalError):
        return False
    return isinstance(error, permanent)


def requested_wait(error: BaseException) -> timedelta | None:
    """How long the service asked to wait; None: it did not say."""
    from opsgenie_provider.sync.account import PartsFailedError

    if isinstance(error, PartsFailedError):
        waits = [wait for part in error.errors.values() if (wait := requested_wait(part)) is not None]
        return max(waits, default=None)
    seconds = getattr(error, "retry_after", None) if _asks_for_patience(error) else None
    return None if seconds is None else timedelta(seconds=seconds)


def _asks_for_patience(error: BaseException) -> bool:
    from opsgenie_provider.api.errors import RateLimitError, ServerError

    return isinstance(error, RateLimitError | ServerError)


if RetryPolicy is not None:

    class ApiRetryPolicy(RetryPolicy):
        """Fails permanent errors at once, and waits as long as a service asks."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
        ) -> RetryDecision:
            if is_permanent(exception):
                return RetryDecision.fail(reason="permanent error, not retried")
            if _asks_for_patience(exception) or requested_wait(exception):
                return RetryDecision.retry(
                    requested_wait(exception), reason=str(exception).partition(" to ")[0]
                )
            return RetryDecision.default()


def retry_arguments() -> dict[str, Any]:
    """The ``default_args`` of every DAG: how often and when its tasks are tried again."""
    arguments: dict[str, Any] = {
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": RETRY_EXPONENTIAL_BACKOFF,
    }
    if RetryPolicy is not None:
        arguments["retry_policy"] = ApiRetryPolicy()
    return arguments


def apply_without_policy(error: BaseException) -> None:
    """What ``ApiRetryPolicy`` does, for an Airflow that has no retry policies; otherwise nothing.

    :raises AirflowFailException: the error is permanent.
    """
    if RetryPolicy is not None:
        return
    if is_permanent(error):
        raise AirflowFailException(str(error)) from error
    if wait := requested_wait(error):
        time.sleep(min(wait.total_seconds(), _LONGEST_WAIT))
