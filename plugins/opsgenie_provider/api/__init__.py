"""What the services say: plain clients over requests, with no Airflow import."""
