"""The platform as Dagster assets, from the topic to the published snapshot."""
