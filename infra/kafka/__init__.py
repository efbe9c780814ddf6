"""The local Kafka broker: its jars (`pom.xml`), its configuration and its log format."""
