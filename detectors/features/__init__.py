"""What the detectors measure: one file per family, each a function from canonical frames to an array of named values."""
