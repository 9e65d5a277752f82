"""Part of Countermark."""
