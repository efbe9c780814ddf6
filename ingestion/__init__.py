"""From a feed through Kafka to landed Parquet."""
