"""The DAGs as functions, so that a file in a dags folder needs three lines."""
