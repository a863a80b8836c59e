"""The refresh: from the staging tables to the dora tables, by the SQL of include/sql."""
