"""The chain of slots a Kafka partition is landed as: names, footers, walking, putting. Pure but for storage."""
