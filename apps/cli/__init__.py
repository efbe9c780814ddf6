"""The command line: every part's entry point, and the demo that runs them all together."""
