"""PagerDuty's incidents into OpsGenie: payloads, ledger, importer, verification. Plain Python, no Airflow."""
