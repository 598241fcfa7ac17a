"""One family of detectors per file, behind the one interface."""
