"""Countermark: the package `generator`."""
