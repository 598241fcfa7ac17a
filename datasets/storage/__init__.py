"""Where images lie: folders, archives, addresses."""
