"""Benchmarks: ratios against a floor measured in the same run. `make bench` runs them; no test asserts a time."""
