"""Two runs, paired image by image: what changed, and whether it may."""
