"""The whole platform under a stream of bars, and when each of these was where."""
