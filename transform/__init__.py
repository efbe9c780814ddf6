"""From landed slots to published tables: validation, indicators, dbt, snapshots."""
