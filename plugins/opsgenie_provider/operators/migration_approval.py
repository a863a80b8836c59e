"""Manual approval before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context


class ApprovePlanOperator(ApprovalOperator):
    """Waits for somebody to approve in Airflow's UI; a refusal skips what follows.

    :param required: False: nobody is asked.
    """

    template_fields: Sequence[str] = ("subject", "body", "required")

    def __init__(self, *, required: Any = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.required = required

    def execute(self, context: Context) -> Any:
        if not self.required:
            self.log.info("No approval is required.")
            return None
        return super().execute(context)
