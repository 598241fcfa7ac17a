"""What lies behind a detector's accuracy: pairs, curves, protocols, kinds of faces, errors, calibration."""
