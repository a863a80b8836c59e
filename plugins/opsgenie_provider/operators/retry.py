"""Which failures are worth another try of the task, and when."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from opsgenie_provider.compat import (
    RETRY_EXPONENTIAL_BACKOFF,
    AirflowFailException,
    RetryDecision,
    RetryPolicy,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opsgenie_provider.api.errors import RateLimitError, ServerError

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
        RateLimitError,
        ServerError,
        UnknownSiteError,
    )

    permanent = (
        ApiStatusError,
        CrowdedSecondError,
        ForeignHostError,
        UnknownSiteError,
        ValueError,
        psycopg.DatabaseError,
    )
    transient = (RateLimitError, ServerError, psycopg.OperationalError)
    return all(
        isinstance(each, permanent) and (not isinstance(each, transient) or _exceeds_a_limit(each))
        for each in _causes(error)
    )


def requested_wait(error: BaseException) -> timedelta | None:
    """How long the service asked to wait; None: it did not say."""
    waits = [
        each.retry_after for each in _causes(error) if _is_overload(each) and each.retry_after is not None
    ]
    return timedelta(seconds=max(waits)) if waits else None


def _answers_to_wait_for(error: BaseException) -> list[tuple[str, int]]:
    """The services that are overloaded or fail, each with the status that it answered."""
    return sorted({(each.service, each.status) for each in _causes(error) if _is_overload(each)})


def _causes(error: BaseException) -> list[BaseException]:
    """What went wrong with each part of an account, or the error itself."""
    from opsgenie_provider.sync.account import PartsFailedError

    return list(error.errors.values()) if isinstance(error, PartsFailedError) else [error]


def _exceeds_a_limit(error: BaseException) -> bool:
    """Whether a statement or a value is too large for PostgreSQL, such as a text for an index. psycopg counts
    these errors (class 54) among those of a server in trouble."""
    return str(getattr(error, "sqlstate", None)).startswith("54")


def _is_overload(error: BaseException) -> TypeGuard[RateLimitError | ServerError]:
    """Whether the service throttles requests or fails, so that the same request may succeed later."""
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
            if answers := _answers_to_wait_for(exception):
                reason = ", ".join(f"{service} answered {status}" for service, status in answers)
                return RetryDecision.retry(requested_wait(exception), reason=reason)
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
