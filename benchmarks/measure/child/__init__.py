"""The border between a measuring process and the child that holds a detector: messages, and what is believed."""
