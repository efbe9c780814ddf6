"""When the platform's work runs: Dagster and nothing else. Every asset is a thin call into transform."""
