"""The REST API over published snapshots."""
