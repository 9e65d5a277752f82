"""Countermark: the package `countermark`."""
