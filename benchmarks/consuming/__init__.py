"""The ways of bringing a topic to Parquet that `benchmarks.ingest` compares, each a program of its own."""
