"""The report for people without a login, and its summary to whoever is notified."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow.sdk import Context

from opsgenie_provider.compat import AirflowSkipException
from opsgenie_provider.operators.provider import ProviderOperator


class WriteReportOperator(ProviderOperator):
    """Writes the report of a period as one HTML file to the setting ``report_path``.

    :param since: from when on, ISO 8601.
    :param until: up to, and without, when; with neither, the last whole week.
    :returns: for each notifier of the settings the arguments of its ``NotifyOperator``.
    :raises ValueError: ``since`` and ``until`` are no period.
    """

    template_fields: Sequence[str] = ("since", "until")
    ui_color = "#e2f0d9"

    def __init__(self, *, since: str | None = None, until: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.since = since
        self.until = until

    def perform(self, context: Context) -> list[dict[str, Any]]:
        from airflow.sdk import ObjectStoragePath

        from opsgenie_provider.hooks.warehouse import open_warehouse
        from opsgenie_provider.planning import parse_instant
        from opsgenie_provider.report.numbers import read, warehouse_now
        from opsgenie_provider.report.period import report_period
        from opsgenie_provider.report.render import html, summary
        from opsgenie_provider.settings import ENV_PREFIX, load_settings

        settings = load_settings()
        if settings.report_path is None and not settings.notifiers:
            raise AirflowSkipException(
                "The report has nowhere to go. Name a directory in the setting report_path, such as "
                f"s3://aws_default@bucket/dora or file:///var/reports, or as {ENV_PREFIX}REPORT_PATH; "
                "or name notifiers."
            )
        since, until = parse_instant(self.since, "since"), parse_instant(self.until, "until")
        with open_warehouse(settings.postgres_conn_id).connection() as connection:
            period = report_period(_run_at(context) or warehouse_now(connection), since, until)
            numbers = read(connection, period)
        report = None
        if settings.report_path is not None:
            directory = ObjectStoragePath(settings.report_path)
            # Object stores have no directories, and asking for one may ask for the right to make buckets.
            if directory.protocol in ("", "file", "local"):
                directory.mkdir(parents=True, exist_ok=True)
            file = directory / period.file_name
            file.write_text(html(numbers), encoding="utf-8")
            report = str(file)
            self.log.info("The report of %s is at %s.", period.title, report)
        text = summary(numbers)
        self.log.info("%s", text)
        return [
            {"notifier": number, "summary": text, "report": report}
            for number in range(len(settings.notifiers))
        ]


class NotifyOperator(ProviderOperator):
    """Hands the summary to one of the setting ``notifiers``, any notifier of Airflow's.

    Its arguments are templates where the notifier says so; ``summary`` and ``report`` are among their values.

    :param notifier: which one, from 0.
    :param summary: what the report says.
    :param report: where it is.
    :raises InvalidSettingsError: there is no such class, or it does not take these arguments.
    """

    template_fields: Sequence[str] = ("notifier", "summary", "report")
    ui_color = "#e2f0d9"

    def __init__(
        self,
        *,
        notifier: int,
        summary: str,
        report: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notifier = notifier
        self.summary = summary
        self.report = report

    def perform(self, context: Context) -> None:
        from airflow.sdk import BaseNotifier

        from opsgenie_provider.settings import InvalidSettingsError, load_settings

        named = load_settings().notifiers[self.notifier]
        try:
            made = named.load()(**named.kwargs)
        except (ImportError, AttributeError, TypeError) as error:
            raise InvalidSettingsError(
                f"notifiers, {named.class_}: {error}. Correct its class and kwargs in the settings, and "
                "install the provider that it comes from."
            ) from error
        if not isinstance(made, BaseNotifier):
            raise InvalidSettingsError(
                f"notifiers, {named.class_}: it is no notifier of Airflow's. Name a subclass of BaseNotifier."
            )
        made({**context, "summary": self.summary, "report": self.report})
        self.log.info("Sent the summary with %s.", named.class_)


def _run_at(context: Context) -> datetime | None:
    """When the run was due, so that a run that is cleared later reports on the same period."""
    logical_date = context.get("logical_date")
    if isinstance(logical_date, datetime):
        return logical_date
    run_after = getattr(context.get("dag_run"), "run_after", None)
    return run_after if isinstance(run_after, datetime) else None
