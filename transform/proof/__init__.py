"""Proof on demand: what shows that the lake, the warehouse and what is published say the same."""
