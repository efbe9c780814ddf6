"""What `make bench-read` is about: a published history, and ways to read a series of it."""
