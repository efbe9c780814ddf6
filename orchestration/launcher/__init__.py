"""How runs begin: forked from a warm process that has imported everything once, and by Dagster's stock way when it cannot."""
