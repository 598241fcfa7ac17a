"""How results are shown; nothing here runs a detector."""
