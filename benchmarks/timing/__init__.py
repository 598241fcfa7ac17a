"""From the times of calls to what is said of them."""
