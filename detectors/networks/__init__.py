"""Networks written out in PyTorch, what reads their weights, and what surrounds one in several adapters."""
