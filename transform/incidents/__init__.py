"""Failures of the platform itself: which there are, and that people are told of each once, and once when it is over."""
