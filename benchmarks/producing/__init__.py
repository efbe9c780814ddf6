"""Ways to get the bars of a Parquet file into a topic, each a program of its own that counts what was delivered."""
