"""What measures facebench itself; in no wheel, and nothing imports it."""
