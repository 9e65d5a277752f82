"""Countermark: the package `benchmarks`."""
