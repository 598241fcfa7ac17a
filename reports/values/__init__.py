"""The numbers of reports as they are printed."""
