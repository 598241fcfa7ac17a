"""Images made worse in a known way, at five severities."""
