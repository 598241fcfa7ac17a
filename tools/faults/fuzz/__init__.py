"""Files that say something else than was written, in great numbers."""
