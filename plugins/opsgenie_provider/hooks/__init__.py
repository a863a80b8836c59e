"""From an Airflow connection to a client or a warehouse."""
