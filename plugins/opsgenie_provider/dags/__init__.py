"""The DAGs as functions, so that a file in a dags folder needs three lines."""

from opsgenie_provider.resources import sql_directory

# A copy without include/ is an import error of the DAG, which Airflow shows, rather than a task's.
sql_directory("schema")
