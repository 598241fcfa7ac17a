"""What is done with a data set: convert it, verify it, describe it."""
