"""Benchmarks: every module here is a program that measures one thing beside its peers; `make bench-NAME` runs one."""
