"""The sources into staging: an OpsGenie or PagerDuty account, the repositories at GitHub. No Airflow."""
