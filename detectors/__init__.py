"""Countermark: the package `detectors`."""
