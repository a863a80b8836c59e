"""What tasks hand on to the end of their run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypedDict

from airflow.sdk import Context

# The XCom key of what a task did, where its return value is something else or it fails.
OUTCOME = "outcome"


class Outcome(TypedDict, total=False):
    """What a task did, for the run's summary; plain JSON.

    :param stored: False: it is known to have changed nothing in the warehouse.
    """

    account: str
    stream: str
    rows_changed: int
    rejected: int
    requests: int
    deleted: int
    deferred: int
    stored: bool


def push_outcome(context: Context, outcome: Mapping[str, Any]) -> None:
    """Hand on what a task did, beside its return value."""
    if "ti" in context:
        context["ti"].xcom_push(key=OUTCOME, value=dict(outcome))


@contextmanager
def before_reading(context: Context) -> Iterator[None]:
    """The beginning of a task that reads: if it fails, nothing was stored, unless an earlier try did."""
    try:
        yield
    except Exception:
        if "ti" in context and context["ti"].try_number == 1:
            push_outcome(context, Outcome(stored=False))
        raise
