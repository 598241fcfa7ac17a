"""One family of detectors per file, behind the one interface; `registry` finds the classes by walking this folder."""
