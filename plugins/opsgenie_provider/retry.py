"""Which failures are worth another try of the task, and when."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from airflow.sdk import Context, RetryDecision, RetryPolicy

from opsgenie_provider.api.errors import (
    ApiStatusError,
    CrowdedSecondError,
    ForeignHostError,
    RateLimitError,
    ServerError,
)

_FOR_A_PERSON = (ApiStatusError, ForeignHostError, CrowdedSecondError, ValueError, psycopg.DatabaseError)


class ApiRetryPolicy(RetryPolicy):
    """Fails at once on what no waiting mends; waits as told where the service says how long.

    401, 402, 403, 404, 422, settings and params (``ValueError``) and what the warehouse refuses are
    for a person to mend. The rest (429, 5xx, lost connections, a warehouse that restarts) passes.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        if isinstance(exception, RateLimitError | ServerError):
            delay = None if exception.retry_after is None else timedelta(seconds=exception.retry_after)
            return RetryDecision.retry(delay, reason=f"{exception.service} answered {exception.status}")
        if isinstance(exception, _FOR_A_PERSON) and not isinstance(exception, psycopg.OperationalError):
            return RetryDecision.fail(reason="trying again cannot mend this")
        return RetryDecision.default()
