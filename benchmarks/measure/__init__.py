"""Running detectors over images, in children of their own."""
