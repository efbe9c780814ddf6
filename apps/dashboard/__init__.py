"""The pages: published snapshots for people to look at."""
