"""What the detectors measure: one file per family, a function from canonical frames to named values."""
