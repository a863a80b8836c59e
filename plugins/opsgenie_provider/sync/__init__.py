"""One account into staging: what is read, in which order, and what comes of each part. No Airflow."""
