"""One run, scored: a row per detector, and a detector in depth."""
