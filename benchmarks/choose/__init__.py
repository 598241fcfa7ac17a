"""From a run to the detector that programs load."""
