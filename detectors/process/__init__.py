"""What a process says of itself: devices, threads, work that goes on, and what it must not share."""
