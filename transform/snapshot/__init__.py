"""Published snapshots: immutable Parquet files and a chain of manifests. Readers pin one manifest."""
