"""Ways to compute the indicators of the bars in a DuckDB file, each a program of its own that writes them back into it."""
