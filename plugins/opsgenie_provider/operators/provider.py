"""The base of every operator of this package."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import BaseOperator, Context

from opsgenie_provider.operators.retry import apply_without_policy

P = ParamSpec("P")
R = TypeVar("R")


class ProviderOperator(BaseOperator):
    """An operator whose permanent errors fail at once, on every supported version of Airflow.

    Its work is imported where it is done: DAG files are parsed every half a minute, and once by each task.
    """

    def execute(self, context: Context) -> Any:
        try:
            return self.perform(context)
        except Exception as error:
            apply_without_policy(error)
            raise

    @abstractmethod
    def perform(self, context: Context) -> Any:
        """The task's work; returns plain JSON."""


def fail_permanent_errors_fast(function: Callable[P, R]) -> Callable[P, R]:
    """The same for a function under ``@task``."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            apply_without_policy(error)
            raise

    return run
